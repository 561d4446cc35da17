use rtc_rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};
use rtc_shared::marshal::Unmarshal;

use super::*;

#[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
fn clock() -> Instant {
    Instant::now()
}

/// (sequence number, arrival in ticks of 250 µs) of what a message calls received, and how many it speaks of. Read
/// by another implementation than the one that wrote it.
fn read(message: &[u8]) -> (Vec<(u16, i64)>, u16) {
    let mut bytes = message;
    let report = TransportLayerCc::unmarshal(&mut bytes).unwrap();
    let mut symbols = Vec::new();
    for chunk in &report.packet_chunks {
        match chunk {
            PacketStatusChunk::RunLengthChunk(run) => {
                symbols.extend((0..run.run_length).map(|_| run.packet_status_symbol));
            }
            PacketStatusChunk::StatusVectorChunk(vector) => {
                symbols.extend(vector.symbol_list.iter().copied());
            }
        }
    }
    let mut deltas = report.recv_deltas.iter();
    let mut now = i64::from(report.reference_time) * 256;
    let mut received = Vec::new();
    for (offset, symbol) in symbols.iter().take(usize::from(report.packet_status_count)).enumerate() {
        if matches!(symbol, SymbolTypeTcc::PacketReceivedSmallDelta | SymbolTypeTcc::PacketReceivedLargeDelta)
        {
            now += deltas.next().unwrap().delta / 250;
            received.push((report.base_sequence_number.wrapping_add(offset as u16), now));
        }
    }
    assert!(deltas.next().is_none());
    (received, report.packet_status_count)
}

/// Feeds (sequence number, arrival in ms) and gives the messages.
fn report(feedback: &mut TransportCc, start: Instant, packets: &[(u16, u64)]) -> Vec<Vec<u8>> {
    let mut now = start;
    for (sequence_number, arrival) in packets {
        let arrival = start + Duration::from_millis(*arrival);
        now = now.max(arrival);
        feedback.packet(*sequence_number, Ssrc(7), arrival, now);
    }
    let mut out = Vec::new();
    feedback.write_due(now + INTERVAL, Ssrc(1), &mut out);
    assert!(out.iter().all(|message| message.len() <= 1150 && message.len() % 4 == 0));
    out
}

#[test]
fn arrivals_are_reported_exactly_across_the_wrap() {
    let start = clock();
    let mut feedback = TransportCc::default();
    let packets = [(65_534, 0), (65_535, 5), (1, 90), (0, 91), (3, 900)];
    let messages = report(&mut feedback, start, &packets);
    assert_eq!(messages.len(), 1);
    let (received, count) = read(&messages[0]);
    assert_eq!(received, [(65_534, 0), (65_535, 20), (0, 364), (1, 360), (3, 3600)]);
    assert_eq!(count, 6, "2 is reported missing");
}

#[test]
fn a_loss_at_the_end_of_a_report_is_missing_in_the_next() {
    let start = clock();
    let mut feedback = TransportCc::default();
    report(&mut feedback, start, &[(10, 0), (11, 1)]);
    let messages = report(&mut feedback, start, &[(14, 200)]);
    assert_eq!(read(&messages[0]), (vec![(14, 800)], 3), "12 and 13 are reported missing");
}

#[test]
fn a_late_packet_is_reported_alone_without_calling_others_missing() {
    let start = clock();
    let mut feedback = TransportCc::default();
    report(&mut feedback, start, &[(10, 0), (12, 1), (13, 2)]);
    let messages = report(&mut feedback, start, &[(11, 150), (14, 151)]);
    let read: Vec<_> = messages.iter().map(|message| read(message)).collect();
    assert_eq!(read, [(vec![(11, 600)], 1), (vec![(14, 604)], 1)]);
}

#[test]
fn a_report_is_due_100_ms_after_the_first_packet_and_at_once_when_many_wait() {
    let start = clock();
    let mut feedback = TransportCc::default();
    assert_eq!(feedback.due(), None);
    feedback.packet(1, Ssrc(7), start, start);
    feedback.packet(2, Ssrc(7), start, start + Duration::from_millis(50));
    assert_eq!(feedback.due(), Some(start + INTERVAL));
    for sequence_number in 3..=MAX_PENDING as u16 {
        feedback.packet(sequence_number, Ssrc(7), start, start + Duration::from_millis(60));
    }
    assert_eq!(feedback.due(), Some(start + Duration::from_millis(60)));
}

#[test]
fn any_order_of_arrivals_is_reported_whole() {
    let start = clock();
    let mut state = 7_u64;
    let mut random = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % bound
    };
    for _ in 0..200 {
        let mut feedback = TransportCc::default();
        let first = random(65_536) as u16;
        let mut expected = Vec::new();
        let mut reported = Vec::new();
        let mut next = 0_u16;
        for _ in 0..4 {
            let mut packets = Vec::new();
            for _ in 0..random(300) {
                next += 1 + if random(10) == 0 { random(600) as u16 } else { 0 };
                packets.push((first.wrapping_add(next), random(3000)));
            }
            expected.extend(packets.iter().map(|packet| packet.0));
            for message in report(&mut feedback, start, &packets) {
                reported.extend(read(&message).0.into_iter().map(|packet| packet.0));
            }
        }
        expected.sort_unstable();
        reported.sort_unstable();
        assert_eq!(reported, expected);
    }
}
