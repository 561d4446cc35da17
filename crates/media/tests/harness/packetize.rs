//! Coded frames to RTP payloads.

/// The most bytes of a payload.
pub const MTU: usize = 1_100;

/// VP8 (RFC 7741) with a 15-bit picture id.
pub fn vp8(frame: &[u8], picture: u16) -> Vec<Vec<u8>> {
    let chunks = frame.chunks(MTU).enumerate();
    chunks
        .map(|(index, chunk)| {
            let start = if index == 0 { 0x10 } else { 0 };
            let [high, low] = (picture & 0x7fff | 0x8000).to_be_bytes();
            [&[0x80 | start, 0x80, high, low], chunk].concat()
        })
        .collect()
}

/// VP9 (RFC 9628) in non-flexible mode, one layer, with a 15-bit picture id.
pub fn vp9(frame: &[u8], picture: u16) -> Vec<Vec<u8>> {
    let count = frame.len().div_ceil(MTU);
    // The frame type of profile 0 is the sixth bit: zero in keyframes.
    let inter = if frame[0] & 0x04 != 0 { 0x40 } else { 0 };
    let chunks = frame.chunks(MTU).enumerate();
    chunks
        .map(|(index, chunk)| {
            let begins = if index == 0 { 0x08 } else { 0 };
            let ends = if index + 1 == count { 0x04 } else { 0 };
            let [high, low] = (picture & 0x7fff | 0x8000).to_be_bytes();
            [&[0x80 | inter | begins | ends, high, low], chunk].concat()
        })
        .collect()
}

/// AV1: each OBU is an element, without its size and without temporal delimiters. Large ones are in fragments.
pub fn av1(unit: &[u8]) -> Vec<Vec<u8>> {
    let obus = av1_obus(unit);
    let new_sequence = obus.iter().any(|obu| obu[0] >> 3 & 0x0f == 1);
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for obu in &obus {
        let count = obu.len().div_ceil(MTU);
        for (index, chunk) in obu.chunks(MTU).enumerate() {
            let continues = if index > 0 { 0x80 } else { 0 };
            let goes_on = if index + 1 < count { 0x40 } else { 0 };
            let new = if new_sequence && payloads.is_empty() { 0x08 } else { 0 };
            payloads.push([&[continues | goes_on | 0x10 | new], chunk].concat());
        }
    }
    payloads
}

/// OBUs without their sizes, temporal delimiters left out.
fn av1_obus(unit: &[u8]) -> Vec<Vec<u8>> {
    let mut obus = Vec::new();
    let mut at = 0;
    while at < unit.len() {
        let header = unit[at];
        assert_eq!(header & 0x06, 0x02, "a size and no extension");
        let (mut size, mut shift, mut end) = (0, 0, at + 1);
        loop {
            size |= usize::from(unit[end] & 0x7f) << shift;
            shift += 7;
            end += 1;
            if unit[end - 1] & 0x80 == 0 {
                break;
            }
        }
        if header >> 3 & 0x0f != 2 {
            obus.push([&[header & !0x02], &unit[end..end + size]].concat());
        }
        at = end + size;
    }
    obus
}

/// What a temporal unit is in Matroska: without its delimiter.
pub fn stored_av1(unit: &[u8]) -> Vec<u8> {
    assert_eq!(unit[..2], [0x12, 0]);
    unit[2..].to_vec()
}

/// H.264 (RFC 6184): parameter sets aggregated, large units fragmented.
pub fn h264(unit: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (small, rest): (Vec<_>, Vec<_>) = unit.iter().partition(|nal| matches!(nal[0] & 0x1f, 6..=8));
    let mut payloads = Vec::new();
    if !small.is_empty() {
        payloads.push([vec![24], aggregate(&small)].concat());
    }
    for nal in rest {
        if nal.len() <= MTU {
            payloads.push(nal.clone());
            continue;
        }
        let count = nal[1..].chunks(MTU).count();
        for (index, chunk) in nal[1..].chunks(MTU).enumerate() {
            payloads.push([&[nal[0] & 0xe0 | 28, edges(index, count) | nal[0] & 0x1f], chunk].concat());
        }
    }
    payloads
}

/// H.265 (RFC 7798), as [`h264`].
pub fn h265(unit: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (small, rest): (Vec<_>, Vec<_>) = unit.iter().partition(|nal| nal[0] >> 1 & 0x3f >= 32);
    let mut payloads = Vec::new();
    if !small.is_empty() {
        payloads.push([vec![48 << 1, 1], aggregate(&small)].concat());
    }
    for nal in rest {
        if nal.len() <= MTU {
            payloads.push(nal.clone());
            continue;
        }
        let count = nal[2..].chunks(MTU).count();
        for (index, chunk) in nal[2..].chunks(MTU).enumerate() {
            let header = [nal[0] & 0x81 | 49 << 1, nal[1], edges(index, count) | nal[0] >> 1 & 0x3f];
            payloads.push([&header, chunk].concat());
        }
    }
    payloads
}

fn aggregate(units: &[&Vec<u8>]) -> Vec<u8> {
    let sized =
        units.iter().map(|unit| [&u16::try_from(unit.len()).unwrap().to_be_bytes()[..], unit].concat());
    sized.collect::<Vec<_>>().concat()
}

fn edges(index: usize, count: usize) -> u8 {
    if index == 0 {
        0x80
    } else if index + 1 == count {
        0x40
    } else {
        0
    }
}

/// An access unit as Matroska stores it: each NAL unit with its length.
pub fn stored_nal_units(unit: &[Vec<u8>]) -> Vec<u8> {
    let sized = unit.iter().map(|nal| [&u32::try_from(nal.len()).unwrap().to_be_bytes()[..], nal].concat());
    sized.collect::<Vec<_>>().concat()
}

/// Redundant audio (RFC 2198): earlier packets, oldest first, and this one.
pub fn red(payload_type: u8, before: &[(u32, Vec<u8>)], primary: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (offset, data) in before {
        let fields = (offset << 10) | u32::try_from(data.len()).unwrap();
        let [_, b1, b2, b3] = fields.to_be_bytes();
        out.extend([0x80 | payload_type, b1, b2, b3]);
    }
    out.push(payload_type);
    before.iter().for_each(|(_, data)| out.extend(data));
    out.extend(primary);
    out
}
