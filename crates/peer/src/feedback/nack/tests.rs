use super::*;

#[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
fn clock() -> Instant {
    Instant::now()
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn due(list: &mut NackList, now: Instant, round_trip: Option<Duration>) -> Vec<u16> {
    let mut lost = Vec::new();
    list.collect_due(now, round_trip, &mut lost);
    lost
}

#[test]
fn a_hole_is_asked_for_after_30_ms_and_then_each_round_trip_and_a_half() {
    let (start, mut list) = (clock(), NackList::default());
    list.hole(SeqNo(70_000), SeqNo(70_002), start);
    assert!(due(&mut list, start + milliseconds(29), None).is_empty());
    let round_trip = Some(milliseconds(100));
    assert_eq!(due(&mut list, start + milliseconds(30), round_trip), [70_000_u64 as u16, 70_001_u64 as u16]);
    assert_eq!(list.due(), Some(start + milliseconds(190)));
    assert!(due(&mut list, start + milliseconds(189), round_trip).is_empty());
    let came = list.arrived(SeqNo(70_000), start + milliseconds(135));
    assert_eq!(came, Some(milliseconds(105)), "a round trip");
    assert_eq!(due(&mut list, start + milliseconds(190), round_trip), [70_001_u64 as u16]);
    assert_eq!(
        list.arrived(SeqNo(70_001), start + milliseconds(200)),
        None,
        "asked for twice: which was answered?"
    );
    assert_eq!((list.due(), list.given_up(), list.asked()), (None, 0, 3));
}

#[test]
fn what_comes_by_itself_is_not_asked_for() {
    let (start, mut list) = (clock(), NackList::default());
    list.hole(SeqNo(5), SeqNo(6), start);
    assert_eq!(list.arrived(SeqNo(5), start + milliseconds(3)), None);
    assert_eq!((list.due(), due(&mut list, start + milliseconds(500), None)), (None, vec![]));
    assert_eq!(list.arrived(SeqNo(5), start), None, "nor known any more");
}

#[test]
fn after_twelve_tries_a_packet_is_given_up() {
    let (start, mut list) = (clock(), NackList::default());
    list.hole(SeqNo(5), SeqNo(6), start);
    let mut tries = 0;
    while let Some(now) = list.due() {
        tries += due(&mut list, now, Some(milliseconds(10))).len();
    }
    assert_eq!((tries, list.given_up()), (12, 1));
}

#[test]
fn after_four_seconds_a_packet_is_given_up_however_slow_the_path() {
    let (start, mut list) = (clock(), NackList::default());
    list.hole(SeqNo(5), SeqNo(6), start);
    let mut last = start;
    while let Some(now) = list.due() {
        due(&mut list, now, Some(Duration::from_secs(9)));
        last = now;
    }
    assert!(last - start < Duration::from_secs(5));
    assert_eq!(list.given_up(), 1);
}

#[test]
fn of_a_long_outage_the_newest_are_asked_for() {
    let (start, mut list) = (clock(), NackList::default());
    list.hole(SeqNo(10), SeqNo(20), start);
    list.hole(SeqNo(1000), SeqNo(9000), start);
    assert_eq!(list.given_up(), 10 + 8000 - 1024);
    let lost = due(&mut list, start + milliseconds(30), None);
    assert_eq!((lost.len(), lost[0], lost[1023]), (1024, 9000 - 1024, 8999));
    list.clear();
    assert_eq!((list.given_up(), list.due()), (8010, None));
}
