//! The sender against a receiver of the same library, in virtual time.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use str0m::{
    Candidate, Event, Input, Output, Rtc,
    change::SdpOffer,
    media::{MediaData, Mid},
    net::{Protocol, Receive},
};
use testkit::{
    sender::{Impairment, Sender, SenderConfig, Track},
    signal::{ClipSpec, Codec, clip},
};

fn address(port: u16) -> SocketAddr {
    ([10, 0, 0, 1], port).into()
}

struct Receiver {
    rtc: Rtc,
    wake: Instant,
    frames: BTreeMap<(Mid, String), Vec<MediaData>>,
    messages: Vec<Vec<u8>>,
}

impl Receiver {
    fn new(now: Instant) -> Self {
        let provider = Arc::new(str0m::crypto::from_feature_flags());
        let mut rtc = Rtc::builder().set_crypto_provider(provider).set_ice_lite(true).build(now);
        rtc.add_local_candidate(Candidate::host(address(2), "udp").expect("an address"));
        Self { rtc, wake: now, frames: BTreeMap::new(), messages: Vec::new() }
    }

    fn answer(&mut self, offer: &str, now: Instant, sender: &mut Sender) -> String {
        let offer = SdpOffer::from_sdp_string(offer).expect("the offer is SDP");
        let answer = self.rtc.sdp_api().accept_offer(offer).expect("the offer is acceptable");
        self.drain(now, sender);
        answer.to_sdp_string()
    }

    fn drain(&mut self, now: Instant, sender: &mut Sender) {
        loop {
            match self.rtc.poll_output().expect("the receiver lives") {
                Output::Timeout(at) => return self.wake = at,
                Output::Transmit(transmit) => {
                    sender.handle_datagram(now, address(2), transmit.contents.into());
                }
                Output::Event(Event::MediaData(data)) => {
                    let rid = data.rid.map(|rid| rid.to_string()).unwrap_or_default();
                    self.frames.entry((data.mid, rid)).or_default().push(data);
                }
                Output::Event(Event::ChannelData(data)) => self.messages.push(data.data),
                Output::Event(_) => {}
            }
        }
    }
}

fn run(sender: &mut Sender, receiver: &mut Receiver, now: &mut Instant, time: Duration) {
    let end = *now + time;
    while *now < end {
        while let Some((_, datagram)) = sender.poll_transmit(*now) {
            let received =
                Receive::new(Protocol::Udp, address(1), address(2), &datagram).expect("a datagram");
            receiver.rtc.handle_input(Input::Receive(*now, received)).expect("the receiver lives");
            receiver.drain(*now, sender);
        }
        if receiver.wake <= *now {
            receiver.rtc.handle_input(Input::Timeout(*now)).expect("the receiver lives");
            receiver.drain(*now, sender);
        }
        *now += Duration::from_millis(1);
        sender.handle_timeout(*now);
    }
}

fn connect(config: SenderConfig) -> (Sender, Receiver, Instant) {
    let now = Instant::now();
    let mut sender = Sender::new(config, address(1), now).expect("a sender");
    let mut receiver = Receiver::new(now);
    let offer = sender.offer().expect("an offer");
    let answer = receiver.answer(&offer, now, &mut sender);
    sender.accept_answer(&answer, now).expect("the answer fits");
    (sender, receiver, now)
}

fn small(codec: Codec) -> Track {
    Track::of(clip(ClipSpec::small(codec)).expect("ffmpeg codes the clip"))
}

fn beep() -> Track {
    Track::of(clip(ClipSpec::beep()).expect("ffmpeg codes the beep"))
}

#[test]
fn every_frame_of_each_codec_arrives() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264] {
        let config = SenderConfig {
            play_for: Some(Duration::from_secs(2)),
            ..SenderConfig::playing([small(codec), beep()])
        };
        let (mut sender, mut receiver, mut now) = connect(config);
        run(&mut sender, &mut receiver, &mut now, Duration::from_secs(4));
        let arrived: Vec<usize> = receiver.frames.values().map(Vec::len).collect();
        assert_eq!(sender.stats().frames, [60, 100], "{codec}");
        // The receiver holds the last packet of Opus back until it knows that the next isn't late.
        assert_eq!(arrived.iter().max(), Some(&100), "{codec}: {arrived:?}");
        assert_eq!(arrived.iter().min(), Some(&60), "{codec}: {arrived:?}");
        assert_eq!(sender.failure(), None);
    }
}

#[test]
fn lost_packets_are_resent_until_every_frame_has_arrived() {
    let config = SenderConfig {
        seed: 5,
        outgoing: Impairment { delay: Duration::from_millis(20), ..Impairment::rtp_loss(0.05) },
        play_for: Some(Duration::from_secs(10)),
        ..SenderConfig::playing([small(Codec::Vp8)])
    };
    let (mut sender, mut receiver, mut now) = connect(config);
    run(&mut sender, &mut receiver, &mut now, Duration::from_secs(9));
    // The very last packet's loss is one that no receiver can notice.
    sender.set_impairment(Impairment::default(), Impairment::default());
    run(&mut sender, &mut receiver, &mut now, Duration::from_secs(3));
    let stats = sender.stats();
    assert!(stats.packets_lost > 10, "{stats:?}");
    assert!(stats.resends >= stats.packets_lost, "{stats:?}");
    let frames = receiver.frames.values().next().expect("video arrived");
    assert_eq!(frames.len(), 300, "{stats:?}");
}

#[test]
fn simulcast_layers_arrive_with_their_rids() {
    let full = ClipSpec { size: (640, 480), ..ClipSpec::small(Codec::Vp8) };
    let quarter = ClipSpec { size: (160, 120), bit_rate: 100_000, ..full };
    let [q, h, f] = [quarter, ClipSpec::small(Codec::Vp8), full].map(|spec| clip(spec).expect("coded"));
    let (mut sender, mut receiver, mut now) = connect(SenderConfig::playing([Track::simulcast(q, h, f)]));
    run(&mut sender, &mut receiver, &mut now, Duration::from_secs(3));
    let rids: Vec<&str> = receiver.frames.keys().map(|(_, rid)| rid.as_str()).collect();
    assert_eq!(rids, ["f", "h", "q"]);
    assert!(receiver.frames.values().all(|frames| frames.len() >= 60), "{:?}", sender.stats());
}

#[test]
fn a_track_added_by_renegotiation_starts_at_the_sessions_current_time() {
    let (mut sender, mut receiver, mut now) = connect(SenderConfig::playing([small(Codec::Vp8)]));
    run(&mut sender, &mut receiver, &mut now, Duration::from_secs(2));
    let offer = sender.offer_more(&small(Codec::Vp8), now).expect("an offer");
    let answer = receiver.answer(&offer, now, &mut sender);
    sender.accept_answer(&answer, now).expect("the answer fits");
    run(&mut sender, &mut receiver, &mut now, Duration::from_secs(2));
    let lengths: Vec<usize> = receiver.frames.values().map(Vec::len).collect();
    assert_eq!(lengths.len(), 2);
    assert!(lengths.iter().any(|length| (110..=121).contains(length)), "{lengths:?}");
    assert!(lengths.iter().any(|length| (55..=61).contains(length)), "{lengths:?}");
}

#[test]
fn a_data_channel_message_arrives() {
    let config = SenderConfig { data_channel: Some("chat".into()), ..SenderConfig::playing([beep()]) };
    let (mut sender, mut receiver, mut now) = connect(config);
    run(&mut sender, &mut receiver, &mut now, Duration::from_secs(1));
    assert!(sender.stats().channel_open);
    assert!(sender.send_message(false, b"hello", now));
    run(&mut sender, &mut receiver, &mut now, Duration::from_secs(1));
    assert_eq!(receiver.messages, [b"hello"]);
}
