//! The header of a file that may end anywhere.

use std::io::{self, Read, Seek};

use super::super::{
    ebml::id,
    header::{Layout, SEEK_HEAD_REGION},
};
use super::elements::{Elements, Head, children, uint};
use crate::{Codec, Container, TrackId};

/// The recorder writes no larger elements in a header.
const MAX_ELEMENT: usize = 64 << 10;

/// A track entry of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declared {
    pub number: u8,
    pub track: TrackId,
    pub name: String,
    pub codec: Codec,
    pub size: (u32, u32),
    pub channels: u8,
    /// Samples a second; zero for video.
    pub rate: u32,
}

/// A complete header.
#[derive(Debug)]
pub(super) struct Header {
    pub layout: Layout,
    pub container: Container,
    /// The segment's size, if the file was finished.
    pub segment_size: Option<u64>,
    /// The file's duration in milliseconds, if the file was finished.
    pub duration: Option<f64>,
    pub tracks: Vec<Declared>,
}

/// Why a header could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// The file ends in it.
    Cut,
    /// The recorder does not write such headers.
    Foreign,
}

impl Header {
    pub(super) fn read<R: Read + Seek>(elements: &mut Elements<R>) -> io::Result<Result<Self, NoHeader>> {
        let length = elements.length();
        let mut found = Parts::default();
        let mut at = 0;
        loop {
            let Some(head) = elements.head(at, length)? else {
                return Ok(Err(if length.saturating_sub(at) < 12 {
                    NoHeader::Cut
                } else {
                    NoHeader::Foreign
                }));
            };
            if head.id == id::CLUSTER {
                return Ok(found.complete(&head).ok_or(NoHeader::Foreign));
            }
            if head.id == id::SEGMENT && found.ebml.is_some() {
                found.segment = Some(head);
                at = head.data;
                continue;
            }
            let expected = matches!(head.id, id::EBML | id::SEEK_HEAD | id::INFO | id::TRACKS | id::VOID);
            let Some(end) = head.end().filter(|end| expected && *end - head.at <= MAX_ELEMENT as u64) else {
                return Ok(Err(NoHeader::Foreign));
            };
            let Some(data) = elements.data(&head, MAX_ELEMENT)? else { return Ok(Err(NoHeader::Cut)) };
            if head.id != id::VOID && (found.ebml.is_none() != (head.id == id::EBML)) {
                return Ok(Err(NoHeader::Foreign));
            }
            found.take(head, data);
            at = end;
        }
    }
}

#[derive(Default)]
struct Parts {
    ebml: Option<(Head, Vec<u8>)>,
    segment: Option<Head>,
    seek_head: Option<Head>,
    info: Option<(Head, Vec<u8>)>,
    tracks: Option<(Head, Vec<u8>)>,
}

impl Parts {
    fn take(&mut self, head: Head, data: Vec<u8>) {
        match head.id {
            id::EBML => self.ebml = Some((head, data)),
            id::SEEK_HEAD => self.seek_head = Some(head),
            id::INFO => self.info = Some((head, data)),
            id::TRACKS => self.tracks = Some((head, data)),
            _ => {}
        }
    }

    /// None if the parts are not where the recorder writes them.
    fn complete(self, cluster: &Head) -> Option<Header> {
        let (ebml, ebml_data) = self.ebml?;
        let segment = self.segment?;
        let (info, info_data) = self.info?;
        let (tracks, tracks_data) = self.tracks?;
        let (doc_type, name) = children(&ebml_data).find(|(head, _)| head.id == id::DOC_TYPE)?;
        let container = match name {
            b"webm" => Container::Webm,
            b"matroska" => Container::Matroska,
            _ => return None,
        };
        let scale = children(&info_data).find(|(head, _)| head.id == id::TIMESTAMP_SCALE)?.1;
        let (slot, duration) = children(&info_data).find(|(head, _)| {
            head.end() == Some(head.at + 11) && matches!(head.id, id::DURATION | id::VOID)
        })?;
        let layout = Layout {
            doc_type: ebml.data + doc_type.at,
            segment_size: segment.data - 8,
            segment: segment.data,
            seek_head: segment.data,
            info: info.at,
            duration: info.data + slot.at,
            tracks: tracks.at,
            end: cluster.at,
        };
        let ours = uint(scale) == 1_000_000
            && segment.data - segment.at == 12
            && self.seek_head?.at == segment.data
            && info.at == segment.data + SEEK_HEAD_REGION as u64;
        let milliseconds = duration.first_chunk::<8>().map(|bytes| f64::from_be_bytes(*bytes));
        ours.then(|| Header {
            layout,
            container,
            segment_size: segment.size,
            duration: milliseconds.filter(|_| slot.id == id::DURATION),
            tracks: children(&tracks_data).filter_map(|(_, entry)| declared(entry)).take(126).collect(),
        })
    }
}

fn declared(entry: &[u8]) -> Option<Declared> {
    let child = |id| children(entry).find(|(head, _)| head.id == id).map(|(_, data)| data);
    let of = |parent: Option<&[u8]>, id| {
        let found = children(parent?).find(|(head, _)| head.id == id).map(|(_, data)| uint(data));
        found.and_then(|value| u32::try_from(value).ok())
    };
    let uid = uint(child(id::TRACK_UID)?);
    let video = child(id::VIDEO);
    Some(Declared {
        number: u8::try_from(uint(child(id::TRACK_NUMBER)?))
            .ok()
            .filter(|number| (1..=126).contains(number))?,
        track: TrackId(u32::try_from((uid >> 8).checked_sub(1)?).ok()?),
        name: String::from_utf8_lossy(child(id::NAME).unwrap_or_default()).into_owned(),
        codec: codec(child(id::CODEC_ID)?, child(id::CODEC_PRIVATE).unwrap_or_default())?,
        size: (of(video, id::PIXEL_WIDTH).unwrap_or(0), of(video, id::PIXEL_HEIGHT).unwrap_or(0)),
        rate: child(id::AUDIO).map_or(0, sampling_frequency),
        channels: of(child(id::AUDIO), id::CHANNELS).and_then(|count| u8::try_from(count).ok()).unwrap_or(1),
    })
}

fn sampling_frequency(audio: &[u8]) -> u32 {
    let found = children(audio).find(|(head, _)| head.id == id::SAMPLING_FREQUENCY);
    let bytes = found.and_then(|(_, data)| data.first_chunk::<8>());
    // The recorder writes eight bytes and whole numbers. Numbers out of range are clamped by the cast.
    bytes.map_or(0, |bytes| f64::from_be_bytes(*bytes) as u32)
}

/// By CodecID, and for `A_MS/ACM` by the format tag that its CodecPrivate begins with.
fn codec(name: &[u8], private: &[u8]) -> Option<Codec> {
    let tag = private.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
    Codec::all().find(|codec| {
        codec.matroska_id().as_bytes() == name
            && codec.wave_format_tag().is_none_or(|expected| tag == Some(expected))
    })
}
