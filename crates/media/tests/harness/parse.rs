//! An independent reader of Matroska files, for details that players do not report.

/// A SimpleBlock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub track: u8,
    /// Milliseconds.
    pub time: i64,
    pub keyframe: bool,
    pub data: Vec<u8>,
}

/// An element: id, start of data, end.
type Element = (u32, usize, usize);

fn element(bytes: &[u8], at: usize) -> Element {
    let id_length = bytes[at].leading_zeros() as usize + 1;
    let id = bytes[at..at + id_length].iter().fold(0, |id, byte| (id << 8) | u32::from(*byte));
    let at = at + id_length;
    let size_length = bytes[at].leading_zeros() as usize + 1;
    let raw = bytes[at..at + size_length].iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    let mask = (1_u64 << (7 * size_length)) - 1;
    let start = at + size_length;
    let end = if raw & mask == mask { bytes.len() } else { start + usize::try_from(raw & mask).unwrap() };
    (id, start, end)
}

pub fn children(bytes: &[u8], mut at: usize, end: usize) -> Vec<Element> {
    let mut found = Vec::new();
    while at < end {
        let child = element(bytes, at);
        assert!(child.2 <= end, "element {:x} exceeds its parent", child.0);
        found.push(child);
        at = child.2;
    }
    found
}

fn uint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

/// The segment's children in a finished file.
pub fn segment(bytes: &[u8]) -> Vec<Element> {
    let ebml = element(bytes, 0);
    let segment = element(bytes, ebml.2);
    assert_eq!(segment.0, 0x1853_8067);
    assert_eq!(segment.2, bytes.len(), "the segment's size");
    children(bytes, segment.1, segment.2)
}

/// All blocks in the order of the file. Each cluster must have its size.
pub fn blocks(bytes: &[u8]) -> Vec<Block> {
    blocks_behind(bytes, 0)
}

/// The blocks in clusters whose data begins at `offset` or later.
pub fn blocks_behind(bytes: &[u8], offset: usize) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (id, start, end) in segment(bytes) {
        if id != 0x1F43_B675 || start < offset {
            continue;
        }
        let mut cluster = 0;
        for (id, start, end) in children(bytes, start, end) {
            match id {
                0xE7 => cluster = i64::try_from(uint(&bytes[start..end])).unwrap(),
                0xA3 => blocks.push(Block {
                    track: bytes[start] & 0x7f,
                    time: cluster + i64::from(i16::from_be_bytes([bytes[start + 1], bytes[start + 2]])),
                    keyframe: bytes[start + 3] & 0x80 != 0,
                    data: bytes[start + 4..end].to_vec(),
                }),
                other => panic!("{other:x} in a cluster"),
            }
        }
    }
    blocks
}

/// Track number, time, and offset of the cluster in the file, of each cue.
pub fn cues(bytes: &[u8]) -> Vec<(u64, u64, usize)> {
    let start = element(bytes, element(bytes, 0).2).1;
    let mut cues = Vec::new();
    for (_, from, to) in segment(bytes).into_iter().filter(|(id, ..)| *id == 0x1C53_BB6B) {
        for (_, from, to) in children(bytes, from, to) {
            let (mut time, mut track, mut cluster) = (0, 0, 0);
            for (id, from, to) in children(bytes, from, to) {
                if id == 0xB3 {
                    time = uint(&bytes[from..to]);
                    continue;
                }
                for (id, from, to) in children(bytes, from, to) {
                    match id {
                        0xF7 => track = uint(&bytes[from..to]),
                        0xF1 => cluster = start + usize::try_from(uint(&bytes[from..to])).unwrap(),
                        _ => {}
                    }
                }
            }
            cues.push((track, time, cluster));
        }
    }
    cues
}
