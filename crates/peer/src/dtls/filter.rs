//! Drops records that no honest client sends, before OpenSSL reads them.
//!
//! DTLS is in the clear until the handshake is complete. Anybody who can spoof the client's address could end a
//! handshake with one alert, or fill the engine's queues of out-of-order messages. The filter does not rely on fixes in
//! libssl: distributions ship many versions of it.

use std::{borrow::Cow, collections::VecDeque, ops::RangeInclusive};

const RECORD_HEADER: usize = 13;
const FRAGMENT_HEADER: usize = 12;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// First byte of every DTLS version.
const VERSION_MAJOR: u8 = 254;

/// The largest handshake message. A WebRTC client's certificate message is about 500 bytes, with RSA 1 KB.
const MAX_MESSAGE: usize = 8192;
/// A client's handshake has message numbers 0 to 5, 6 with a HelloVerifyRequest.
const MAX_MESSAGE_NUMBER: u16 = 12;
/// Enough for a client that repeats its flights for half a minute.
const MAX_HANDSHAKE_BYTES: usize = 256 * 1024;
/// Body of an encrypted Finished: a message header of 12 bytes and 12 bytes of verify_data (RFC 5246 §7.4.9), plus what
/// the cipher suite adds ([`shortest_record`]).
const FINISHED_LENGTHS: RangeInclusive<usize> = 24 + 16..=24 + 24;
/// Finished records that are held until the engine expects them. One is enough for an honest client.
const MAX_EARLY_RECORDS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    Established {
        /// Bytes of the shortest record body that the cipher suite allows.
        shortest: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Admit,
    /// A Finished that the engine does not expect yet.
    Hold,
    Drop,
}

#[derive(Debug)]
pub(crate) struct Filter {
    phase: Phase,
    handshake_bytes: usize,
    /// Records with a Finished that overtook the ChangeCipherSpec, newest last. libssl would reserve a 16 KB buffer for
    /// each of them.
    early: VecDeque<Vec<u8>>,
    dropped: u64,
}

impl Filter {
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Handshake, handshake_bytes: 0, early: VecDeque::new(), dropped: 0 }
    }

    /// From now on only records pass that are encrypted with this cipher suite, by OpenSSL's name of it.
    pub(crate) fn handshake_completed(&mut self, cipher: &str) {
        self.phase = Phase::Established { shortest: shortest_record(cipher) };
        self.early = VecDeque::new();
    }

    /// The records of a datagram that the engine may read; empty if there is none. `expects_finished` says that the
    /// engine has read the client's ChangeCipherSpec. Before that, a Finished is held for
    /// [`take_early`](Self::take_early).
    pub(crate) fn admit<'a>(&mut self, datagram: &'a [u8], expects_finished: bool) -> Cow<'a, [u8]> {
        if self.phase == Phase::Handshake {
            self.handshake_bytes = self.handshake_bytes.saturating_add(datagram.len());
            if self.handshake_bytes > MAX_HANDSHAKE_BYTES {
                self.dropped += 1;
                return Cow::Borrowed(&[]);
            }
        }
        let mut admitted = Cow::Borrowed(&datagram[..0]);
        let mut rest = datagram;
        let (mut whole, mut dropped) = (true, false);
        while let Some((record, next)) = split_record(rest) {
            rest = next;
            match self.judge(&record, expects_finished) {
                Verdict::Admit => admitted.to_mut().extend_from_slice(record.bytes),
                Verdict::Hold => {
                    self.hold(&record);
                    whole = false;
                }
                Verdict::Drop => (whole, dropped) = (false, true),
            }
        }
        self.dropped += u64::from(dropped || !rest.is_empty());
        if whole && rest.is_empty() { Cow::Borrowed(datagram) } else { admitted }
    }

    /// The next held Finished, oldest first. To be called while the engine expects it.
    pub(crate) fn take_early(&mut self) -> Option<Vec<u8>> {
        self.early.pop_front()
    }

    /// Datagrams from which records were dropped since the last call.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn judge(&self, record: &Record<'_>, expects_finished: bool) -> Verdict {
        let admitted = match (self.phase, record.kind, record.epoch) {
            (Phase::Established { shortest }, ALERT | HANDSHAKE | APPLICATION_DATA, 1) => {
                record.body.len() >= shortest
            }
            (Phase::Handshake, HANDSHAKE, 0) => is_handshake(record.body),
            (Phase::Handshake, CHANGE_CIPHER_SPEC, 0) => record.body == [1],
            (Phase::Handshake, HANDSHAKE, 1) if FINISHED_LENGTHS.contains(&record.body.len()) => {
                if !expects_finished {
                    return Verdict::Hold;
                }
                true
            }
            _ => false,
        };
        if admitted { Verdict::Admit } else { Verdict::Drop }
    }

    /// The newest records displace the oldest: a flood of forged ones cannot shut out the client's next try.
    fn hold(&mut self, record: &Record<'_>) {
        if self.early.len() == MAX_EARLY_RECORDS {
            self.early.pop_front();
        }
        self.early.push_back(record.bytes.to_vec());
    }
}

/// Bytes of the shortest record body that carries content under a cipher suite. AES-GCM adds an explicit nonce of
/// 8 bytes and a tag of 16 (RFC 5288 §3), ChaCha20-Poly1305 a tag of 16 alone (RFC 7905 §2). libssl 3.0.19 ends the
/// session on a shorter record, which anybody can forge.
fn shortest_record(cipher: &str) -> usize {
    debug_assert!(
        cipher.contains("GCM") || cipher.contains("CHACHA20"),
        "the context offers only AES-GCM and ChaCha20, not {cipher}"
    );
    if cipher.contains("CHACHA20") { 16 + 1 } else { 8 + 16 + 1 }
}

struct Record<'a> {
    kind: u8,
    epoch: u16,
    body: &'a [u8],
    /// With its header.
    bytes: &'a [u8],
}

fn split_record(datagram: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (header, rest) = datagram.split_first_chunk::<RECORD_HEADER>()?;
    let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
    let (body, rest) = rest.split_at_checked(length)?;
    let record = Record {
        kind: header[0],
        epoch: u16::from_be_bytes([header[3], header[4]]),
        body,
        bytes: &datagram[..RECORD_HEADER + length],
    };
    (header[1] == VERSION_MAJOR).then_some((record, rest))
}

/// Whether the body is whole fragments of handshake messages (RFC 6347 §4.2.2), each within its message.
fn is_handshake(mut body: &[u8]) -> bool {
    while !body.is_empty() {
        let Some((header, rest)) = body.split_first_chunk::<FRAGMENT_HEADER>() else { return false };
        let length = uint24(&header[1..4]);
        let number = u16::from_be_bytes([header[4], header[5]]);
        let (offset, fragment) = (uint24(&header[6..9]), uint24(&header[9..12]));
        let Some(rest) = rest.get(fragment..) else { return false };
        // An empty fragment adds nothing to a message that isn't empty, but costs a queue entry.
        let empty = fragment == 0 && length != 0;
        if length > MAX_MESSAGE || number > MAX_MESSAGE_NUMBER || offset + fragment > length || empty {
            return false;
        }
        body = rest;
    }
    true
}

fn uint24(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GCM: &str = "ECDHE-ECDSA-AES128-GCM-SHA256";

    fn record(kind: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 254, 253];
        record.extend(epoch.to_be_bytes());
        record.extend([0, 0, 0, 0, 0, 9]);
        record.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        record.extend(body);
        record
    }

    fn fragment(number: u16, length: u32, offset: u32, data: &[u8]) -> Vec<u8> {
        let mut fragment = vec![1];
        fragment.extend(&length.to_be_bytes()[1..]);
        fragment.extend(number.to_be_bytes());
        fragment.extend(&offset.to_be_bytes()[1..]);
        fragment.extend(&u32::try_from(data.len()).unwrap().to_be_bytes()[1..]);
        fragment.extend(data);
        fragment
    }

    #[test]
    fn each_kind_of_record_passes_only_in_its_phase() {
        let hello = fragment(0, 4, 0, &[1; 4]);
        // (what, record, before completion, after, with AES-GCM)
        let table = [
            ("client hello", record(22, 0, &hello), true, false),
            ("change cipher spec", record(20, 0, &[1]), true, false),
            ("long change cipher spec", record(20, 0, &[1, 1]), false, false),
            ("change cipher spec of epoch 1", record(20, 1, &[1; 30]), false, false),
            ("finished with AES-GCM", record(22, 1, &[7; 48]), true, true),
            ("finished with ChaCha20", record(22, 1, &[7; 40]), true, true),
            ("overlong finished", record(22, 1, &[7; 49]), false, true),
            ("undersized finished", record(22, 1, &[7; 39]), false, true),
            ("undersized record", record(22, 1, &[7; 24]), false, false),
            ("shortest record", record(22, 1, &[7; 25]), false, true),
            ("plaintext alert", record(21, 0, &[2, 40]), false, false),
            ("encrypted alert", record(21, 1, &[7; 26]), false, true),
            ("plaintext data", record(23, 0, &[7; 26]), false, false),
            ("encrypted data", record(23, 1, &[7; 26]), false, true),
            ("epoch 2", record(23, 2, &[7; 26]), false, false),
            ("empty fragment", record(22, 0, &fragment(1, 9, 0, &[])), false, false),
            ("server hello done, which is empty", record(22, 0, &fragment(1, 0, 0, &[])), true, false),
            ("fragment beyond its message", record(22, 0, &fragment(1, 9, 8, &[1, 2])), false, false),
            ("oversized message", record(22, 0, &fragment(1, 8193, 0, &[1])), false, false),
            (
                "message number beyond any handshake",
                record(22, 0, &fragment(13, 4, 0, &[1; 4])),
                false,
                false,
            ),
            ("cut fragment", record(22, 0, &hello[..14]), false, false),
            ("other version", vec![22, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], false, false),
        ];
        for (what, bytes, before, after) in table {
            let mut filter = Filter::new();
            assert_eq!(!filter.admit(&bytes, true).is_empty(), before, "{what} before");
            filter.handshake_completed(GCM);
            assert_eq!(!filter.admit(&bytes, true).is_empty(), after, "{what} after");
        }
    }

    #[test]
    fn the_shortest_record_follows_the_cipher_suite() {
        for (cipher, shortest) in
            [(GCM, 25), ("ECDHE-ECDSA-AES256-GCM-SHA384", 25), ("ECDHE-ECDSA-CHACHA20-POLY1305", 17)]
        {
            let mut filter = Filter::new();
            filter.handshake_completed(cipher);
            for length in 0..40 {
                let admitted = !filter.admit(&record(23, 1, &vec![7; length]), true).is_empty();
                assert_eq!(admitted, length >= shortest, "{cipher}: {length} bytes");
            }
        }
    }

    #[test]
    fn a_bad_record_is_dropped_alone_and_the_rest_of_its_datagram_passes() {
        let (good, alert) = (record(20, 0, &[1]), record(21, 0, &[2, 40]));
        let finished = record(22, 1, &[7; 40]);
        let datagram = [&good[..], &alert, &finished, &[22, 254]].concat();
        assert_eq!(Filter::new().admit(&datagram, true), [&good[..], &finished].concat());
        let clean = [&good[..], &finished].concat();
        assert!(matches!(Filter::new().admit(&clean, true), Cow::Borrowed(bytes) if bytes == clean));
    }

    #[test]
    fn a_finished_that_overtakes_the_change_cipher_spec_is_held() {
        let mut filter = Filter::new();
        let change = record(20, 0, &[1]);
        let finished = |number: u8| record(22, 1, &[number; 48]);
        assert_eq!(filter.admit(&[&finished(0)[..], &change].concat(), false), change);
        assert_eq!(filter.take_early(), Some(finished(0)));
        for number in 0..100 {
            assert!(filter.admit(&finished(number), false).is_empty());
        }
        let held: Vec<_> = std::iter::from_fn(|| filter.take_early()).collect();
        assert_eq!(held, [96, 97, 98, 99].map(finished));
    }

    #[test]
    fn the_bytes_of_a_handshake_are_bounded() {
        let mut filter = Filter::new();
        let hello = record(22, 0, &fragment(0, 1000, 0, &[1; 1000]));
        let passed = (0..1000).filter(|_| !filter.admit(&hello, false).is_empty()).count();
        assert_eq!(passed, MAX_HANDSHAKE_BYTES / hello.len());
    }
}
