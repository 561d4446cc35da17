//! A network that loses, delays, reorders and repeats datagrams, reproducibly by a seed.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Which datagrams are affected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every one: STUN, DTLS, RTP and RTCP.
    #[default]
    All,
    /// RTP alone.
    Rtp,
    /// DTLS alone.
    Dtls,
}

/// Faults of one direction of the network. The default has none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Which datagrams are affected. Others pass at once and unchanged.
    pub scope: Scope,
    /// Share of datagrams that are lost, 0 to 1.
    pub loss: f64,
    /// Share of datagrams that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Delay of every datagram.
    pub delay: Duration,
    /// Random additional delay of each datagram, at most this. If it exceeds the spacing of packets it reorders them.
    pub jitter: Duration,
}

impl Impairment {
    /// Random loss of RTP alone.
    #[must_use]
    pub fn rtp_loss(loss: f64) -> Self {
        Self { scope: Scope::Rtp, loss, ..Self::default() }
    }

    fn concerns(&self, datagram: &[u8]) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Rtp => is_rtp(datagram),
            Scope::Dtls => datagram.first().is_some_and(|byte| (20..64).contains(byte)),
        }
    }
}

/// Whether a datagram is RTP rather than RTCP, DTLS or STUN (RFC 7983, RFC 5761 §4).
#[must_use]
pub fn is_rtp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, second, ..] if first >> 6 == 2 && !(64..96).contains(&(second & 0x7f)))
}

/// One direction. `T` travels with each datagram, for example its address.
pub struct Network<T> {
    impairment: Impairment,
    dice: StdRng,
    order: u64,
    waiting: BinaryHeap<Reverse<Datagram<T>>>,
}

struct Datagram<T> {
    due: Instant,
    order: u64,
    with: T,
    bytes: Vec<u8>,
}

impl<T> PartialEq for Datagram<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}
impl<T> Eq for Datagram<T> {}
impl<T> PartialOrd for Datagram<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Datagram<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

impl<T: Clone> Network<T> {
    /// An empty network. The same seed gives the same faults.
    #[must_use]
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        Self { impairment, dice: StdRng::seed_from_u64(seed), order: 0, waiting: BinaryHeap::new() }
    }

    /// Changes what happens to datagrams from now on.
    pub fn set_impairment(&mut self, impairment: Impairment) {
        self.impairment = impairment;
    }

    /// Accepts a datagram. Returns false if it is lost.
    pub fn push(&mut self, now: Instant, with: T, bytes: Vec<u8>) -> bool {
        let Impairment { loss, duplicate, delay, jitter, .. } = self.impairment;
        if !self.impairment.concerns(&bytes) {
            self.enqueue(now, with, bytes);
            return true;
        }
        if loss > 0.0 && self.dice.random_bool(loss) {
            return false;
        }
        let due = |dice: &mut StdRng| now + delay + jitter.mul_f64(dice.random());
        if duplicate > 0.0 && self.dice.random_bool(duplicate) {
            let due = due(&mut self.dice);
            self.enqueue(due, with.clone(), bytes.clone());
        }
        let due = due(&mut self.dice);
        self.enqueue(due, with, bytes);
        true
    }

    fn enqueue(&mut self, due: Instant, with: T, bytes: Vec<u8>) {
        self.order += 1;
        self.waiting.push(Reverse(Datagram { due, order: self.order, with, bytes }));
    }

    /// The next datagram that has arrived by `now`.
    pub fn pop(&mut self, now: Instant) -> Option<(T, Vec<u8>)> {
        if self.waiting.peek()?.0.due > now {
            return None;
        }
        self.waiting.pop().map(|Reverse(datagram)| (datagram.with, datagram.bytes))
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|next| next.0.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTP: [u8; 12] = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 1];

    #[test]
    fn same_seed_loses_the_same_datagrams() {
        let now = Instant::now();
        let lost = |seed| {
            let mut network = Network::new(Impairment::rtp_loss(0.1), seed);
            (0..1000).filter(|_| !network.push(now, (), RTP.to_vec())).collect::<Vec<_>>()
        };
        assert_eq!(lost(7), lost(7));
        assert_ne!(lost(7), lost(8));
        assert!((60..140).contains(&lost(7).len()), "{}", lost(7).len());
    }

    #[test]
    fn rtp_loss_spares_rtcp() {
        let now = Instant::now();
        let mut network = Network::new(Impairment::rtp_loss(1.0), 1);
        assert!(!network.push(now, (), RTP.to_vec()));
        assert!(network.push(now, (), RTCP.to_vec()));
        assert_eq!(network.pop(now), Some(((), RTCP.to_vec())));
    }

    #[test]
    fn jitter_reorders_and_duplicates_arrive_twice() {
        let now = Instant::now();
        let ms = Duration::from_millis;
        let impairment =
            Impairment { duplicate: 1.0, delay: ms(10), jitter: ms(50), ..Impairment::default() };
        let mut network = Network::new(impairment, 3);
        for sent in 0..100 {
            network.push(now, sent, RTP.to_vec());
        }
        assert_eq!(network.pop(now + ms(9)), None);
        let arrived: Vec<i32> =
            std::iter::from_fn(|| network.pop(now + ms(60))).map(|(sent, _)| sent).collect();
        assert_eq!(arrived.len(), 200);
        assert!(!arrived.is_sorted());
    }
}
