//! Matroska files (RFC 9559), of which WebM is a subset: the writer, and the recovery of files that were not finished.

mod codec_private;
mod cues;
mod ebml;
mod header;
mod recover;
mod tracks;
mod writer;

pub(crate) use codec_private::CodecPrivate;
pub use recover::{RecoverError, Recovery, Repair, recover};
pub(crate) use tracks::{TrackEntry, codec_delay};
pub(crate) use writer::{Block, Writer};
