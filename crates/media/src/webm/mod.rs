//! Matroska files (RFC 9559), of which WebM is a subset: written as media comes, and recovered if writing was cut.

mod codec_private;
mod cues;
mod ebml;
mod header;
mod tracks;
mod writer;

pub(crate) use codec_private::CodecPrivate;
pub(crate) use tracks::TrackEntry;
pub(crate) use writer::{Block, Writer};
