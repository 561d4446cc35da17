//! Data channels (RFC 8831): SCTP over DTLS, and DCEP. Receives whole messages, and sends only what the protocols require.

mod dcep;

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use rtc_sctp::{
    Association, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, EndpointEvent, Event, Payload,
    PayloadProtocolIdentifier, ServerConfig, StreamEvent, TransportConfig,
};
use rtc_shared::TransportProtocol;

use crate::PeerEvent;

/// The largest message that is reassembled, as the answer says.
pub(crate) const MAX_MESSAGE: usize = 256 * 1024;
/// Bytes that may wait to be reassembled, over all channels.
const RECEIVE_BUFFER: u32 = 2 * MAX_MESSAGE as u32;
/// Bytes accepted beyond a full buffer. rtc-sctp accepts the next chunk in sequence as long as no message is complete, so
/// a message without an end would fill the memory.
const MAX_BEYOND_BUFFER: usize = 2 * MAX_MESSAGE;
const MAX_STREAMS: u16 = 1024;
/// Each repeated INIT of a client makes a new association, until one is established.
const MAX_HALF_OPEN: usize = 4;

/// SCTP has no addresses of its own over DTLS.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1);

/// The payload of a chunk of ours. With the headers of SCTP and DTLS it fits any path.
const MAX_PAYLOAD: u32 = 1024;

const SACK: u8 = 3;

/// The SCTP side of a peer.
pub(crate) struct DataChannels {
    endpoint: Endpoint,
    associations: Vec<(AssociationHandle, Association)>,
    established: bool,
    /// Ended by the client's abort or by ours. Nothing is received any more.
    over: bool,
    /// (stream, label) of the channels that were opened by DCEP.
    labels: Vec<(u16, String)>,
    /// Bytes received since we advertised a window of zero.
    beyond_buffer: usize,
    window_shut: bool,
    outgoing: VecDeque<Bytes>,
}

impl std::fmt::Debug for DataChannels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataChannels").field("channels", &self.labels.len()).finish_non_exhaustive()
    }
}

impl DataChannels {
    pub(crate) fn new() -> Self {
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(RECEIVE_BUFFER)
            .with_max_num_inbound_streams(MAX_STREAMS)
            .with_max_num_outbound_streams(MAX_STREAMS);
        let server = Arc::new(ServerConfig::new(transport));
        let mut config = EndpointConfig::new();
        config.max_payload_size(MAX_PAYLOAD);
        Self {
            endpoint: Endpoint::new(NOWHERE, TransportProtocol::UDP, Arc::new(config), Some(server)),
            associations: Vec::new(),
            established: false,
            over: false,
            labels: Vec::new(),
            beyond_buffer: 0,
            window_shut: false,
            outgoing: VecDeque::new(),
        }
    }

    /// Handles one SCTP packet.
    pub(crate) fn handle_packet(&mut self, packet: Vec<u8>, now: Instant, events: &mut VecDeque<PeerEvent>) {
        if self.over {
            return;
        }
        if self.window_shut {
            self.beyond_buffer += packet.len();
            if self.beyond_buffer > MAX_BEYOND_BUFFER {
                return self.abort(now);
            }
        }
        match self.endpoint.handle(now, NOWHERE, None, Bytes::from(packet)) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                if self.associations.len() >= MAX_HALF_OPEN {
                    let (oldest, _) = self.associations.remove(0);
                    self.endpoint.handle_event(oldest, EndpointEvent::drained());
                }
                self.associations.push((handle, association));
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) =
                    self.associations.iter_mut().find(|(known, _)| *known == handle)
                {
                    association.handle_event(event);
                }
            }
            _ => {}
        }
        self.serve(now, events);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.associations.iter().filter_map(|(_, association)| association.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, events: &mut VecDeque<PeerEvent>) {
        for (_, association) in &mut self.associations {
            association.handle_timeout(now);
        }
        self.serve(now, events);
    }

    /// The next SCTP packet to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        self.outgoing.pop_front()
    }

    /// Handles the events of the associations, reads their messages, and collects the packets that they send.
    fn serve(&mut self, now: Instant, events: &mut VecDeque<PeerEvent>) {
        for index in (0..self.associations.len()).rev() {
            let mut connected = false;
            if let Some((_, association)) = self.associations.get_mut(index) {
                while let Some(event) = association.poll() {
                    match event {
                        Event::Connected => connected = true,
                        Event::Stream(StreamEvent::Readable { id } | StreamEvent::Opened { id }) => {
                            read(association, id, &mut self.labels, now, events);
                        }
                        Event::AssociationLost { id, .. } => self.labels.retain(|(stream, _)| *stream != id),
                        _ => {}
                    }
                }
            }
            if connected && !self.established {
                self.established = true;
                self.retain_only(index);
                break;
            }
        }
        self.collect(now);
        if self.established && self.associations.iter().all(|(_, association)| association.is_closed()) {
            self.over = true;
            self.associations.clear();
        }
    }

    /// Drops all associations but the established one. They were made by repeats of its INIT.
    fn retain_only(&mut self, index: usize) {
        self.endpoint.reject_new_associations();
        let established = self.associations.swap_remove(index);
        for (handle, _) in self.associations.drain(..) {
            self.endpoint.handle_event(handle, EndpointEvent::drained());
        }
        self.associations.push(established);
    }

    fn collect(&mut self, now: Instant) {
        for (_, association) in &mut self.associations {
            while let Some(transmit) = association.poll_transmit(now) {
                let Payload::RawEncode(packets) = transmit.message else { continue };
                for packet in packets {
                    if let Some(window) = advertised_window(&packet) {
                        self.window_shut = window == 0;
                        if !self.window_shut {
                            self.beyond_buffer = 0;
                        }
                    }
                    self.outgoing.push_back(packet);
                }
            }
        }
    }

    fn abort(&mut self, now: Instant) {
        for (_, association) in &mut self.associations {
            // The association ends whether or not the ABORT can be sent.
            let _ = association.abort();
        }
        self.collect(now);
        self.over = true;
        self.associations.clear();
        self.labels.clear();
    }
}

/// The receive window that a packet of ours advertises, if it begins with a SACK (RFC 9260 §3.3.4).
fn advertised_window(packet: &[u8]) -> Option<u32> {
    let chunk = packet.get(12..)?;
    let window = chunk.get(8..)?.first_chunk::<4>()?;
    (chunk.first() == Some(&SACK)).then(|| u32::from_be_bytes(*window))
}

/// Reads all complete messages of a stream.
fn read(
    association: &mut Association,
    id: u16,
    labels: &mut Vec<(u16, String)>,
    now: Instant,
    events: &mut VecDeque<PeerEvent>,
) {
    while let Ok(mut stream) = association.stream(id) {
        let Ok(Some(chunks)) = stream.read_sctp() else { return };
        // The client may not send a larger message than the answer allows. It is dropped.
        let Ok(payload) = chunks.to_payload(MAX_MESSAGE) else { continue };
        let (binary, payload) = match chunks.ppi {
            PayloadProtocolIdentifier::Dcep => {
                if let Some(label) = dcep::opened_label(&payload) {
                    labels.retain(|(stream, _)| *stream != id);
                    labels.push((id, label));
                    // Fails only while the association is closing.
                    let _ = stream.write_with_ppi(now, &dcep::ACK, PayloadProtocolIdentifier::Dcep);
                }
                continue;
            }
            PayloadProtocolIdentifier::String => (false, payload.freeze()),
            PayloadProtocolIdentifier::Binary => (true, payload.freeze()),
            // SCTP has no empty messages: the one byte stands for none (RFC 8831 §6.6).
            PayloadProtocolIdentifier::StringEmpty => (false, Bytes::new()),
            PayloadProtocolIdentifier::BinaryEmpty => (true, Bytes::new()),
            _ => continue,
        };
        let label = labels.iter().find(|(stream, _)| *stream == id).map(|(_, label)| label.clone());
        events.push_back(PeerEvent::DataMessage {
            stream: id,
            label: label.unwrap_or_default(),
            binary,
            payload,
        });
    }
}
