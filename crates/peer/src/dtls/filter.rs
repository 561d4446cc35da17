//! What no honest client sends is dropped before OpenSSL sees it.
//!
//! DTLS is in the clear until the handshake is through, so anybody who can spoof the client's address could end a
//! handshake with one alert, or fill the engine's queues of out-of-order messages.

use std::borrow::Cow;

const RECORD_HEADER: usize = 13;
const FRAGMENT_HEADER: usize = 12;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// First byte of every DTLS version.
const VERSION_MAJOR: u8 = 254;

/// A certificate message of more than this is no WebRTC client's.
const MAX_MESSAGE: usize = 8192;
/// A client's handshake has message numbers 0 to 5, 6 with a HelloVerifyRequest.
const MAX_MESSAGE_NUMBER: u16 = 12;
/// Enough for a client that repeats its flights for half a minute.
const MAX_HANDSHAKE_BYTES: usize = 256 * 1024;
/// Finished comes with epoch 1, perhaps before the ChangeCipherSpec; OpenSSL sets such records aside.
const MAX_EARLY_RECORDS: u32 = 24;
const MAX_EARLY_LENGTH: usize = 512;
/// Explicit nonce and tag leave no shorter body to an AEAD record: 16 bytes of tag and one of content.
const MIN_ENCRYPTED_LENGTH: usize = 17;

#[derive(Debug)]
pub(crate) struct Filter {
    completed: bool,
    handshake_bytes: usize,
    early_records: u32,
}

impl Filter {
    pub(crate) fn new() -> Self {
        Self { completed: false, handshake_bytes: 0, early_records: 0 }
    }

    /// From now on only encrypted records are of interest.
    pub(crate) fn handshake_completed(&mut self) {
        self.completed = true;
    }

    /// The records of a datagram that may pass; empty if there is none.
    pub(crate) fn admit<'a>(&mut self, datagram: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.completed {
            self.handshake_bytes = self.handshake_bytes.saturating_add(datagram.len());
            if self.handshake_bytes > MAX_HANDSHAKE_BYTES {
                return Cow::Borrowed(&[]);
            }
        }
        let mut admitted = Cow::Borrowed(&datagram[..0]);
        let mut rest = datagram;
        let mut whole = true;
        while let Some((record, next)) = split_record(rest) {
            rest = next;
            if self.admits(&record) {
                admitted.to_mut().extend_from_slice(record.bytes);
            } else {
                whole = false;
            }
        }
        if whole && rest.is_empty() { Cow::Borrowed(datagram) } else { admitted }
    }

    fn admits(&mut self, record: &Record<'_>) -> bool {
        if record.epoch > 1 || (record.epoch == 1 && record.body.len() < MIN_ENCRYPTED_LENGTH) {
            return false;
        }
        match (self.completed, record.kind, record.epoch) {
            (true, ALERT | HANDSHAKE | APPLICATION_DATA, 1) => true,
            (false, HANDSHAKE, 0) => is_handshake(record.body),
            (false, CHANGE_CIPHER_SPEC, 0) => record.body == [1],
            (false, HANDSHAKE, 1) => {
                self.early_records = self.early_records.saturating_add(1);
                record.body.len() <= MAX_EARLY_LENGTH && self.early_records <= MAX_EARLY_RECORDS
            }
            _ => false,
        }
    }
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
        // (what, record, before completion, after)
        let table = [
            ("client hello", record(22, 0, &hello), true, false),
            ("change cipher spec", record(20, 0, &[1]), true, false),
            ("long change cipher spec", record(20, 0, &[1, 1]), false, false),
            ("change cipher spec of epoch 1", record(20, 1, &[1; 30]), false, false),
            ("finished", record(22, 1, &[7; 40]), true, true),
            ("overlong finished", record(22, 1, &[7; 600]), false, true),
            ("undersized record", record(22, 1, &[7; 16]), false, false),
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
            assert_eq!(!filter.admit(&bytes).is_empty(), before, "{what} before");
            filter.handshake_completed();
            assert_eq!(!filter.admit(&bytes).is_empty(), after, "{what} after");
        }
    }

    #[test]
    fn a_bad_record_does_not_take_the_good_ones_of_its_datagram_along() {
        let (good, alert) = (record(20, 0, &[1]), record(21, 0, &[2, 40]));
        let finished = record(22, 1, &[7; 40]);
        let datagram = [&good[..], &alert, &finished, &[22, 254]].concat();
        assert_eq!(Filter::new().admit(&datagram), [&good[..], &finished].concat());
        let clean = [&good[..], &finished].concat();
        assert!(matches!(Filter::new().admit(&clean), Cow::Borrowed(bytes) if bytes == clean));
    }

    #[test]
    fn early_records_and_bytes_are_bounded() {
        let mut filter = Filter::new();
        let early = record(22, 1, &[7; 40]);
        let passed = (0..1000).filter(|_| !filter.admit(&early).is_empty()).count();
        assert_eq!(passed, 24);
        let mut filter = Filter::new();
        let hello = record(22, 0, &fragment(0, 1000, 0, &[1; 1000]));
        let passed = (0..1000).filter(|_| !filter.admit(&hello).is_empty()).count();
        assert_eq!(passed, MAX_HANDSHAKE_BYTES / hello.len());
    }
}
