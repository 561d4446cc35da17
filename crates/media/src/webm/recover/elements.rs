//! EBML elements of a file that may end anywhere.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::super::ebml::UNKNOWN_SIZE;

/// An element's id and size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub id: u32,
    /// Byte offset of the id.
    pub at: u64,
    /// Byte offset of the data.
    pub data: u64,
    /// Bytes of data. None if it is unknown, as the element was not finished.
    pub size: Option<u64>,
}

impl Head {
    /// The element's end, if its size is known.
    pub(super) fn end(&self) -> Option<u64> {
        self.data.checked_add(self.size?)
    }
}

/// Reads a file's elements one after the other through a buffer, and skips the data that is not requested.
#[derive(Debug)]
pub(super) struct Elements<R> {
    reader: BufReader<R>,
    at: u64,
    length: u64,
}

impl<R: Read + Seek> Elements<R> {
    pub(super) fn new(mut file: R) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { reader: BufReader::with_capacity(64 << 10, file), at: 0, length })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The head of the element at `at`. None if it does not end before `limit`, or if these bytes are no element.
    pub(super) fn head(&mut self, at: u64, limit: u64) -> io::Result<Option<Head>> {
        self.go_to(at)?;
        let mut bytes = [0; 12];
        let room = usize::try_from(limit.min(self.length).saturating_sub(at)).unwrap_or(usize::MAX).min(12);
        self.reader.read_exact(&mut bytes[..room])?;
        self.at += room as u64;
        Ok(parse_head(at, &bytes[..room]))
    }

    /// Reads up to `bytes.len()` bytes at `at`, and returns their number.
    pub(super) fn peek(&mut self, at: u64, limit: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.go_to(at)?;
        let room = usize::try_from(limit.min(self.length).saturating_sub(at)).unwrap_or(usize::MAX);
        let count = room.min(bytes.len());
        self.reader.read_exact(&mut bytes[..count])?;
        self.at += count as u64;
        Ok(count)
    }

    /// An element's data. None if it is larger than `most` bytes, or if the file ends before it.
    pub(super) fn data(&mut self, head: &Head, most: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(size) = head.size.and_then(|size| usize::try_from(size).ok()) else { return Ok(None) };
        if size > most || head.end().is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let mut data = vec![0; size];
        self.peek(head.data, self.length, &mut data)?;
        Ok(Some(data))
    }

    fn go_to(&mut self, to: u64) -> io::Result<()> {
        let step = to.cast_signed().wrapping_sub(self.at.cast_signed());
        self.reader.seek_relative(step)?;
        self.at = to;
        Ok(())
    }
}

fn parse_head(at: u64, bytes: &[u8]) -> Option<Head> {
    let id_length = bytes.first()?.leading_zeros() as usize + 1;
    let id = bytes.get(..id_length).filter(|_| id_length <= 4)?;
    let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let rest = &bytes[id_length..];
    let size_length = rest.first()?.leading_zeros() as usize + 1;
    let size = rest.get(..size_length).filter(|_| size_length <= 8)?;
    let value = size.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let marker = 1_u64 << (7 * size_length);
    let known = size != UNKNOWN_SIZE && value != marker | (marker - 1);
    Some(Head {
        id,
        at,
        data: at + (id_length + size_length) as u64,
        size: known.then_some(value & (marker - 1)),
    })
}

/// The children of an element, from its data.
pub(super) fn children(data: &[u8]) -> impl Iterator<Item = (Head, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = parse_head(at as u64, data.get(at..)?.get(..12.min(data.len() - at))?)?;
        let (start, end) = (usize::try_from(head.data).ok()?, usize::try_from(head.end()?).ok()?);
        let content = data.get(start..end)?;
        at = end;
        Some((head, content))
    })
}

/// An unsigned integer of up to eight bytes.
pub(super) fn uint(data: &[u8]) -> u64 {
    data.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}
