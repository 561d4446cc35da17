use super::*;

const MAX_WAIT: Duration = Duration::from_secs(1);

#[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
fn clock() -> Instant {
    Instant::now()
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A list with one hole, seen at the returned instant.
fn list_with_hole(from: u64, to: u64) -> (Instant, NackList) {
    let (start, mut list) = (clock(), NackList::new(MAX_WAIT));
    list.add_hole(SeqNo(from), SeqNo(to), start, start);
    (start, list)
}

fn due(list: &mut NackList, now: Instant, round_trip: Option<Duration>) -> Vec<u16> {
    let mut lost = Vec::new();
    list.collect_due(now, round_trip, &mut lost);
    lost
}

#[test]
fn a_packet_is_requested_after_30_ms_and_then_at_intervals_of_a_round_trip_and_a_half() {
    let (start, mut list) = list_with_hole(70_000, 70_002);
    assert!(due(&mut list, start + ms(29), None).is_empty());
    let round_trip = Some(ms(100));
    assert_eq!(due(&mut list, start + ms(30), round_trip), [70_000_u64 as u16, 70_001_u64 as u16]);
    assert_eq!(list.due(), Some(start + ms(190)));
    assert!(due(&mut list, start + ms(189), round_trip).is_empty());
    assert_eq!(list.remove(SeqNo(70_000), start + ms(135)), Some(ms(105)), "a round trip");
    assert_eq!(due(&mut list, start + ms(190), round_trip), [70_001_u64 as u16]);
    assert_eq!(list.remove(SeqNo(70_001), start + ms(200)), None, "two requests: which was answered?");
    assert_eq!((list.due(), list.given_up(), list.requested()), (None, 0, 3));
}

#[test]
fn a_packet_that_arrives_within_30_ms_is_not_requested() {
    let (start, mut list) = list_with_hole(5, 6);
    assert_eq!(list.remove(SeqNo(5), start + ms(3)), None);
    assert_eq!(list.due(), None);
    assert!(due(&mut list, start + ms(500), None).is_empty());
    assert_eq!(list.remove(SeqNo(5), start), None);
}

#[test]
fn a_packet_is_given_up_after_twelve_requests() {
    let (_, mut list) = list_with_hole(5, 6);
    let mut requests = 0;
    while let Some(now) = list.due() {
        requests += due(&mut list, now, Some(ms(10))).len();
    }
    assert_eq!((requests, list.given_up()), (12, 1));
}

#[test]
fn no_packet_is_requested_once_the_recorder_has_given_it_up() {
    for round_trip in [None, Some(ms(100)), Some(ms(330)), Some(Duration::from_secs(9))] {
        let (start, mut list) = list_with_hole(5, 7);
        let mut last_request = start;
        let mut given_up = None;
        while let Some(now) = list.due() {
            let mut lost = Vec::new();
            given_up = list.collect_due(now, round_trip, &mut lost).map(|given_up| (now, given_up));
            if !lost.is_empty() {
                last_request = now;
            }
        }
        assert!(
            last_request < start + MAX_WAIT,
            "{round_trip:?}: requested after {:?}",
            last_request - start
        );
        let expected = GivenUp { first: SeqNo(5), count: 2 };
        assert_eq!(given_up, Some((start + MAX_WAIT, expected)), "{round_trip:?}");
        assert_eq!(list.given_up(), 2);
    }
}

#[test]
fn after_a_long_outage_only_the_newest_packets_are_requested() {
    let (start, mut list) = list_with_hole(10, 20);
    list.add_hole(SeqNo(1000), SeqNo(9000), start, start);
    assert_eq!(list.given_up(), 10 + 8000 - 1024);
    let lost = due(&mut list, start + ms(30), None);
    assert_eq!((lost.len(), lost[0], lost[1023]), (1024, 9000 - 1024, 8999));
    list.clear();
    assert_eq!((list.given_up(), list.due()), (8010, None));
}
