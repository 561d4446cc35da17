use super::*;

#[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
fn clock() -> Instant {
    Instant::now()
}

#[test]
fn loss_is_reported_for_the_interval_and_in_total() {
    let start = clock();
    let mut reception = Reception::new(MediaKind::Video, 90_000, SeqNo(1000), start);
    for _ in 0..75 {
        reception.packet(RtpTimestamp(0), start);
    }
    let first = reception.report(Ssrc(7), SeqNo(1099), start);
    assert_eq!((first.fraction_lost, first.total_lost, first.highest_sequence), (64, 25, 1099));
    for _ in 0..110 {
        reception.packet(RtpTimestamp(0), start);
    }
    // Ten came late.
    let second = reception.report(Ssrc(7), SeqNo(1199), start);
    assert_eq!((second.fraction_lost, second.total_lost), (0, 15));
    let idle = reception.report(Ssrc(7), SeqNo(1199), start);
    assert_eq!((idle.fraction_lost, idle.total_lost), (0, 15));
}

#[test]
fn video_is_reported_each_second_and_audio_each_five_seconds() {
    let start = clock();
    for (kind, seconds) in [(MediaKind::Video, 1), (MediaKind::Audio, 5)] {
        let mut reception = Reception::new(kind, 48_000, SeqNo(1), start);
        assert_eq!(reception.due(), start + Duration::from_millis(200));
        reception.report(Ssrc(7), SeqNo(1), start);
        assert_eq!(reception.due(), start + Duration::from_secs(seconds));
    }
}

#[test]
fn a_report_refers_to_the_last_sender_report_and_its_age() {
    let start = clock();
    let mut reception = Reception::new(MediaKind::Audio, 48_000, SeqNo(1), start);
    let none = reception.report(Ssrc(7), SeqNo(1), start);
    assert_eq!((none.last_sender_report, none.delay), (0, 0));
    reception.sender_report(NtpTime(0x0102_0304_0506_0708), start);
    let report = reception.report(Ssrc(7), SeqNo(1), start + Duration::from_millis(1500));
    assert_eq!((report.last_sender_report, report.delay), (0x0304_0506, 65536 * 3 / 2));
}

#[test]
fn jitter_follows_rfc_3550() {
    let start = clock();
    let mut reception = Reception::new(MediaKind::Audio, 48_000, SeqNo(1), start);
    let at = |packet: u64, late: u64| start + Duration::from_millis(packet * 20 + late);
    for packet in 0..100_u32 {
        reception.packet(RtpTimestamp(packet * 960), at(u64::from(packet), 0));
    }
    assert_eq!(reception.report(Ssrc(7), SeqNo(100), start).jitter, 0);
    for packet in 100..400_u32 {
        // Each second packet is 10 ms late: 480 ticks of difference, each time.
        reception.packet(RtpTimestamp(packet * 960), at(u64::from(packet), u64::from(packet % 2) * 10));
    }
    let jitter = reception.report(Ssrc(7), SeqNo(400), start).jitter;
    assert!((470..=480).contains(&jitter), "{jitter}");
    assert!((reception.jitter() - 0.01).abs() < 0.001);
    // Neither a wrap of the timestamp nor a pause makes a jump.
    reception.packet(RtpTimestamp(u32::MAX - 100), at(400, 0) + Duration::from_secs(60));
    reception.packet(RtpTimestamp(860 - 1), at(401, 0) + Duration::from_secs(60));
    assert!(reception.report(Ssrc(7), SeqNo(402), start).jitter <= jitter);
}
