//! Log events: a lost packet can be followed from its hole to the decision.
#![allow(clippy::unwrap_used, clippy::panic)]

mod harness;

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use harness::{
    Harness, ms,
    script::{Random, Script, at_rate},
    sender::{Source, VIDEO, opus_track, vp8_track},
};
use media::{Input, RecorderConfig, Ssrc};
use tracing::Level;

const SECOND: Duration = Duration::from_secs(1);

/// The log as text.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that `act` logs at debug level.
fn logged(act: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::debug_span!("session", session_id = "0190-test").in_scope(act);
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn harness() -> Harness {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    harness.add(vp8_track());
    harness
}

/// Asserts that the log contains lines with these parts, in this order.
fn assert_in_order(log: &[String], expected: &[&[&str]]) {
    let mut lines = log.iter();
    for parts in expected {
        let found = lines.any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line with {parts:?} in its order in:\n{}", log.join("\n"));
    }
}

#[test]
fn a_lost_packet_can_be_followed_from_its_hole_to_the_keyframe() {
    let log = logged(|| {
        let mut harness = harness();
        let mut video = Source::vp8();
        video.sequence_number = 1_000;
        let mut script = Script::default();
        script.send_video(&mut video, &at_rate(25, Duration::ZERO, 4 * SECOND), 60, Duration::ZERO);
        script.reports(VIDEO, &video, ms(200), 4 * SECOND, SECOND);
        // One packet is resent after 200 ms, and one is lost for good.
        script.0[20].0 += ms(200);
        script.0.remove(30);
        script.play(&mut harness);
        harness.finish();
    });
    let ssrc = format!("ssrc={}", Ssrc(Source::vp8().ssrc));
    assert!(log.iter().all(|line| line.contains(r#"session{session_id="0190-test"}"#)), "{}", log.join("\n"));
    assert_in_order(
        &log,
        &[
            &["track added", "track=t1"],
            &["codec or size changed", "codec=Vp8", "width=320"],
            &["recording begins"],
            &["track aligned", "track=t1", "by_sender_reports=true"],
        ],
    );
    assert_in_order(
        &log,
        &[
            &["packets missing", &ssrc, "seq=1020", "count=1"],
            &["missing packet received", &ssrc, "seq=1020", "waited_ms=160"],
            &["packets missing", &ssrc, "seq=1030", "count=1"],
            &["missing packets given up", &ssrc, "seq=1030", "count=1", "waited_ms=1000"],
            &["video dropped until the next keyframe", &ssrc, "reason=Loss"],
            &["keyframe requested", "track=t1", "reason=Loss"],
            &["keyframe received", &ssrc, "seq=1060"],
        ],
    );
}

#[test]
fn good_packets_are_not_logged_and_drafts_are_not_logged_twice() {
    let log = logged(|| {
        let mut harness = harness();
        let mut script = Script::default();
        // Without reports the beginning is held back, and drafts of the file are written.
        script.send_video(&mut Source::vp8(), &at_rate(25, Duration::ZERO, 20 * SECOND), 25, ms(30));
        script.send_audio(&mut Source::opus(), Duration::ZERO, 20 * SECOND, ms(30));
        script.play(&mut harness);
        let at = harness.instant();
        harness.input(Input::Pause(at));
        harness.input(Input::Resume(at));
        harness.finish();
    });
    assert_eq!(log.iter().filter(|line| line.contains("recording begins")).count(), 1);
    assert_in_order(&log, &[&["recording begins", "wait over"], &["paused"], &["resumed"], &["track ended"]]);
    assert!(log.len() < 25, "{}", log.join("\n"));
}

#[test]
fn a_hostile_sender_does_not_flood_the_log() {
    let log = logged(|| {
        let mut harness = harness();
        let (mut video, mut random) = (Source::vp8(), Random::new(9));
        for index in 0..20_000_u64 {
            let mut packet = video.packet(random.next() as u32, true, vec![0xff; 3]);
            packet.sequence_number = random.next() as u16;
            harness.rtp(Duration::from_micros(100 * index), VIDEO, packet);
        }
        harness.finish();
    });
    assert!(log.len() < 500, "{} lines of two seconds", log.len());
    assert!(log.iter().any(|line| line.contains("log events left out")));
}
