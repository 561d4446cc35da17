//! What comes by DTLS: the keys for SRTP, and data channels.

use std::{sync::Arc, time::Instant};

use super::Peer;
use crate::{
    CloseReason, PeerEvent,
    data::DataChannels,
    dtls::{Dtls, DtlsEvent, Established},
    receiver::Receiver,
    srtp::Srtp,
};

impl Peer {
    pub(super) fn handle_dtls(&mut self, now: Instant, datagram: &[u8]) {
        if self.dtls.is_none() {
            match self.environment.dtls.session() {
                Ok(session) => self.dtls = Some(Dtls::new(session)),
                Err(error) => return self.finish(CloseReason::Dtls(error.to_string())),
            }
        }
        let Some(dtls) = &mut self.dtls else { return };
        let mut events = Vec::new();
        let result = dtls.handle_datagram(datagram, now, &mut events);
        self.flush_dtls();
        for event in events {
            match event {
                DtlsEvent::Established(established) => self.handle_established(&established),
                DtlsEvent::Data(packet) => self.handle_data(packet, now),
                DtlsEvent::Closed => {
                    if let Some(dtls) = &mut self.dtls {
                        dtls.close();
                    }
                    self.flush_dtls();
                    self.finish(CloseReason::Remote);
                }
            }
        }
        if let Err(error) = result {
            self.finish(CloseReason::Dtls(error.0));
        }
    }

    fn handle_established(&mut self, established: &Established) {
        // RFC 8122 §6.2: only now is the certificate the one that signaling vouches for.
        if self.fingerprint.map(|known| known.0) != Some(established.client_fingerprint) {
            self.say_goodbye();
            return self
                .finish(CloseReason::Dtls("the client's certificate isn't the one of its offer".to_owned()));
        }
        if let Err(error) = self.start_receiver(established) {
            self.say_goodbye();
            return self.finish(CloseReason::Dtls(error));
        }
        self.connected = true;
        self.connect_deadline = None;
        if let Some(path) = self.ice.path() {
            self.events.push_back(PeerEvent::Connected {
                remote: path.remote,
                cipher: established.cipher,
                srtp_profile: established.srtp.as_ref().map_or("", |(profile, _)| profile.name()),
            });
        }
    }

    fn start_receiver(&mut self, established: &Established) -> Result<(), String> {
        let Some((profile, keying_material)) = &established.srtp else {
            let data_alone = self.session.media().next().is_none();
            return if data_alone { Ok(()) } else { Err("no SRTP profile in common".to_owned()) };
        };
        let srtp = Srtp::new(*profile, keying_material, Arc::clone(&self.environment.crypto))?;
        let round_trip = self.dtls.as_ref().and_then(Dtls::round_trip);
        self.receiver = Some(Receiver::new(srtp, &self.session, round_trip));
        Ok(())
    }

    fn handle_data(&mut self, packet: Vec<u8>, now: Instant) {
        self.ice.heard(now);
        self.note_presence(now);
        if self.session.has_data() {
            self.data.get_or_insert_with(DataChannels::new).handle_packet(packet, now, &mut self.events);
            self.flush_data();
        }
    }

    pub(super) fn flush_data(&mut self) {
        if let (Some(data), Some(dtls)) = (&mut self.data, &mut self.dtls) {
            while let Some(packet) = data.poll_transmit() {
                // A packet that is lost here is resent by SCTP; a session that is broken says so when it's read.
                let _ = dtls.send(&packet);
            }
        }
        self.flush_dtls();
    }

    pub(super) fn flush_dtls(&mut self) {
        let (Some(dtls), Some(path)) = (&mut self.dtls, self.ice.path()) else { return };
        while let Some(datagram) = dtls.poll_transmit() {
            self.transmits.push_back(path.transmit(datagram));
        }
    }
}
