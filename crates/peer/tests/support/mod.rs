//! A client (str0m) and our peer, joined by a network in memory and in virtual time.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

pub mod raw;
mod seen;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use peer::{
    Answer, Candidate, Codec, Endpoint, Environment, IceCredentials, Peer, PeerConfig, PeerEvent, Protocol,
    TransportTimeouts,
};
use str0m::{
    Event, Input, Output, Rtc, RtcConfig,
    change::{SdpAnswer, SdpApi},
    media::{Mid, Rid},
    net::Receive,
    rtp::RtpWrite,
};

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn config() -> PeerConfig {
    PeerConfig {
        candidates: vec![Candidate { protocol: Protocol::Udp, address: address("192.0.2.1:4000") }],
        codecs: vec![
            Codec::Vp8.into(),
            Codec::Vp9.into(),
            Codec::H264.into(),
            Codec::Av1.into(),
            Codec::Opus.into(),
        ],
        timeouts: TransportTimeouts::default(),
        max_wait: std::time::Duration::from_secs(1),
        max_offer_bytes: 256 * 1024,
        max_sections: 64,
    }
}

pub fn credentials(generation: u32) -> IceCredentials {
    IceCredentials {
        ufrag: format!("ours{generation}"),
        password: format!("aPasswordOfOursThatIsLongEnough{generation}"),
    }
}

/// xorshift64*: the same numbers in each run.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }

    pub fn chance(&mut self, percent: f64) -> bool {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 * 100.0 < percent
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Client to peer.
    Up,
    /// Peer to client.
    Down,
}

/// What the network does with a datagram: false drops it.
pub type Network = Box<dyn FnMut(Direction, &[u8]) -> bool>;

struct InFlight {
    at: Instant,
    direction: Direction,
    /// The client's address as the peer sees it.
    client: SocketAddr,
    bytes: Vec<u8>,
}

pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub environment: Arc<Environment>,
    pub peer: Peer,
    pub client: Rtc,
    pub latency: Duration,
    pub network: Network,
    /// Where the peer sees the client.
    pub client_address: SocketAddr,
    pub server_address: SocketAddr,
    in_flight: VecDeque<InFlight>,
    client_timeout: Instant,
    pub events: Vec<(Instant, PeerEvent)>,
    pub client_events: Vec<Event>,
    pub client_error: Option<String>,
    pub sent_up: usize,
    pub sent_down: usize,
    generation: u32,
    pub ufrag: String,
}

/// The client's own idea of its address; behind a NAT the peer may see another.
pub const CLIENT_HOST: &str = "198.51.100.7:5000";

impl World {
    pub fn new() -> Self {
        Self::with(config(), |client| client)
    }

    pub fn with(config: PeerConfig, client: impl FnOnce(RtcConfig) -> RtcConfig) -> Self {
        let environment = Arc::new(Environment::new().unwrap());
        Self::with_environment(environment, config, client)
    }

    #[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
    pub fn with_environment(
        environment: Arc<Environment>,
        config: PeerConfig,
        client: impl FnOnce(RtcConfig) -> RtcConfig,
    ) -> Self {
        let start = Instant::now();
        let mut client = client(RtcConfig::new().set_rtp_mode(true)).build(start);
        client.add_local_candidate(str0m::Candidate::host(address(CLIENT_HOST), "udp").unwrap()).unwrap();
        Self {
            start,
            now: start,
            peer: Peer::new(Arc::clone(&environment), Arc::new(config), "session".to_owned()),
            environment,
            client,
            latency: Duration::from_millis(10),
            network: Box::new(|_, _| true),
            client_address: address(CLIENT_HOST),
            server_address: address("192.0.2.1:4000"),
            in_flight: VecDeque::new(),
            client_timeout: start,
            events: Vec::new(),
            client_events: Vec::new(),
            client_error: None,
            sent_up: 0,
            sent_down: 0,
            generation: 0,
            ufrag: String::new(),
        }
    }

    /// Offers what `change` says, through to the answer. Returns the offer and the answer.
    pub fn negotiate<T>(&mut self, change: impl FnOnce(&mut SdpApi<'_>) -> T) -> (T, String, Answer) {
        self.negotiate_edited(change, |offer| offer)
    }

    /// As [`negotiate`](Self::negotiate), with an edit to the offer's text on its way.
    pub fn negotiate_edited<T>(
        &mut self,
        change: impl FnOnce(&mut SdpApi<'_>) -> T,
        edit: impl FnOnce(String) -> String,
    ) -> (T, String, Answer) {
        let mut api = self.client.sdp_api();
        let value = change(&mut api);
        let (offer, pending) = api.apply().unwrap();
        let offer = edit(offer.to_sdp_string());
        self.generation += 1;
        let answer = self.peer.accept_offer(&offer, credentials(self.generation), self.now).unwrap();
        self.ufrag.clone_from(&answer.ufrag);
        let parsed =
            SdpAnswer::from_sdp_string(&answer.sdp).unwrap_or_else(|error| panic!("{error}: {}", answer.sdp));
        self.client.sdp_api().accept_answer(pending, parsed).unwrap();
        self.drain();
        (value, offer, answer)
    }

    /// Runs until `done`, or panics when `limit` has passed.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + limit;
        while !done(self) {
            assert!(self.now < end, "not within {limit:?}; events {:?}", self.events_but_rtp());
            self.step(end);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
    }

    pub fn connect(&mut self) {
        self.run_until(Duration::from_secs(30), |world| world.is_connected() && world.client.is_connected());
    }

    pub fn is_connected(&self) -> bool {
        self.events.iter().any(|(_, event)| matches!(event, PeerEvent::Connected { .. }))
    }

    /// To the next thing that happens, but not beyond `end`.
    pub fn step(&mut self, end: Instant) {
        let next = [
            self.peer.poll_timeout(),
            Some(self.client_timeout),
            self.in_flight.iter().map(|packet| packet.at).min(),
            Some(end),
        ];
        let next = next.into_iter().flatten().min().unwrap().max(self.now);
        self.now = next;
        let mut due: Vec<InFlight> = Vec::new();
        let mut later = VecDeque::new();
        for packet in self.in_flight.drain(..) {
            if packet.at <= next { due.push(packet) } else { later.push_back(packet) }
        }
        self.in_flight = later;
        due.sort_by_key(|packet| packet.at);
        for packet in due {
            self.deliver(&packet);
        }
        if self.peer.poll_timeout().is_some_and(|timeout| timeout <= self.now) {
            self.peer.handle_timeout(self.now);
            self.drain();
            assert!(self.peer.poll_timeout().is_none_or(|timeout| timeout > self.now), "the peer would spin");
        }
        if self.client_timeout <= self.now {
            self.client_input(Input::Timeout(self.now));
            // str0m may ask for the same instant again.
            if self.client_timeout <= self.now {
                self.client_timeout = self.now + Duration::from_millis(1);
            }
        }
        self.drain();
    }

    fn deliver(&mut self, packet: &InFlight) {
        match packet.direction {
            Direction::Up => {
                let source = Endpoint { protocol: Protocol::Udp, address: packet.client };
                self.peer.handle_datagram(self.now, self.now, source, self.server_address, &packet.bytes);
            }
            Direction::Down => {
                // A NAT forgets nothing here: what was sent to an old address arrives no more.
                if packet.client == self.client_address {
                    let Ok(contents) = packet.bytes.as_slice().try_into() else { return };
                    self.client_input(Input::Receive(
                        self.now,
                        Receive {
                            proto: str0m::net::Protocol::Udp,
                            source: self.server_address,
                            destination: address(CLIENT_HOST),
                            contents,
                        },
                    ));
                }
            }
        }
        self.drain();
    }

    pub fn client_input(&mut self, input: Input<'_>) {
        if let Err(error) = self.client.handle_input(input) {
            self.client_error = Some(error.to_string());
        }
    }

    /// Takes what both sides have to send and say.
    pub fn drain(&mut self) {
        loop {
            match self.client.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.client_timeout = at.max(self.now);
                    break;
                }
                Ok(Output::Transmit(transmit)) => {
                    assert_eq!(transmit.destination, self.server_address);
                    self.send(Direction::Up, transmit.contents.to_vec());
                }
                Ok(Output::Event(event)) => self.client_events.push(event),
                Err(error) => {
                    self.client_error = Some(error.to_string());
                    self.client_timeout = self.now + Duration::from_secs(3600);
                    break;
                }
            }
        }
        while let Some(transmit) = self.peer.poll_transmit() {
            assert!(transmit.payload.len() <= 1200, "a datagram of {} bytes", transmit.payload.len());
            self.sent_down += 1;
            if (self.network)(Direction::Down, &transmit.payload) {
                self.in_flight.push_back(InFlight {
                    at: self.now + self.latency,
                    direction: Direction::Down,
                    client: transmit.destination.address,
                    bytes: transmit.payload.to_vec(),
                });
            }
        }
        while let Some(event) = self.peer.poll_event() {
            self.events.push((self.now, event));
        }
    }

    fn send(&mut self, direction: Direction, bytes: Vec<u8>) {
        self.sent_up += 1;
        if (self.network)(direction, &bytes) {
            let client = self.client_address;
            self.in_flight.push_back(InFlight { at: self.now + self.latency, direction, client, bytes });
        }
    }

    /// Hands the peer a datagram that the client didn't send, from the client's address.
    pub fn inject(&mut self, bytes: &[u8]) {
        let source = Endpoint { protocol: Protocol::Udp, address: self.client_address };
        self.peer.handle_datagram(self.now, self.now, source, self.server_address, bytes);
        self.drain();
    }

    /// Sends one packet of `length` bytes; its payload begins with the sequence number.
    pub fn write(&mut self, stream: &Outgoing, sequence: u64, timestamp: u32, length: usize) {
        let mut payload = vec![0x5a; length.max(8)];
        payload[..8].copy_from_slice(&sequence.to_be_bytes());
        let now = self.now;
        let mut api = self.client.direct_api();
        let tx = api.stream_tx_by_mid(stream.mid, stream.rid).expect("a stream");
        tx.write_rtp(
            RtpWrite::new(stream.payload_type.into(), sequence.into(), timestamp, now, payload)
                .marker(true)
                .nackable(stream.nackable),
        );
        // str0m sends on its next timeout.
        self.client_input(Input::Timeout(now));
        self.drain();
    }
}

/// One encoding that the client sends.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing {
    pub mid: Mid,
    pub rid: Option<Rid>,
    pub payload_type: u8,
    pub nackable: bool,
}

/// The payload type of an encoding in an answer's section.
pub fn payload_type(answer: &str, mid: Mid, encoding: &str) -> u8 {
    let section = answer.split("m=").find(|section| section.contains(&format!("a=mid:{mid}\r\n"))).unwrap();
    section
        .lines()
        .find_map(|line| {
            let (payload_type, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            name.split('/').next()?.eq_ignore_ascii_case(encoding).then(|| payload_type.parse().unwrap())
        })
        .unwrap_or_else(|| panic!("{encoding} isn't in {section}"))
}

pub fn is_rtp(bytes: &[u8]) -> bool {
    bytes.len() > 12 && bytes[0] >> 6 == 2 && !(192..=223).contains(&bytes[1])
}

pub fn is_dtls(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| (20..=63).contains(first))
}
