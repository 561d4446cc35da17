//! The vocabulary of RTP (RFC 3550) that the crates share: ids, sequence numbers, clocks, packets and the table of
//! codecs. It parses nothing and holds no state.

mod codec;
mod format;
mod id;
mod packet;
mod sequence;
mod time;

pub use codec::{Codec, Container};
pub use format::{Encoding, FmtpRule, PayloadFormat, fmtp_parameter};
pub use id::{LayerId, MediaKind, PayloadType, Ssrc, TrackId};
pub use packet::{Rotation, RtpPacket, SenderReport};
pub use sequence::SeqNo;
pub use time::{NtpTime, RtpTimestamp};
