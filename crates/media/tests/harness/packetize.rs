//! Coded frames to RTP payloads.

/// The most bytes of a payload.
pub const MTU: usize = 1_100;

/// VP8 (RFC 7741) with a 15-bit picture number.
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
