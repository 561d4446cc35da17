//! EBML elements (RFC 8794), and the ids of the Matroska elements in use (RFC 9559).

use bytes::BufMut;

/// Element ids, with their marker bits.
pub(super) mod id {
    pub(crate) const EBML: u32 = 0x1A45_DFA3;
    pub(crate) const EBML_VERSION: u32 = 0x4286;
    pub(crate) const EBML_READ_VERSION: u32 = 0x42F7;
    pub(crate) const EBML_MAX_ID_LENGTH: u32 = 0x42F2;
    pub(crate) const EBML_MAX_SIZE_LENGTH: u32 = 0x42F3;
    pub(crate) const DOC_TYPE: u32 = 0x4282;
    pub(crate) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(crate) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(crate) const VOID: u32 = 0xEC;
    pub(crate) const SEGMENT: u32 = 0x1853_8067;
    pub(crate) const SEEK_HEAD: u32 = 0x114D_9B74;
    pub(crate) const SEEK: u32 = 0x4DBB;
    pub(crate) const SEEK_ID: u32 = 0x53AB;
    pub(crate) const SEEK_POSITION: u32 = 0x53AC;
    pub(crate) const INFO: u32 = 0x1549_A966;
    pub(crate) const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
    pub(crate) const DURATION: u32 = 0x4489;
    pub(crate) const DATE_UTC: u32 = 0x4461;
    pub(crate) const MUXING_APP: u32 = 0x4D80;
    pub(crate) const WRITING_APP: u32 = 0x5741;
    pub(crate) const TRACKS: u32 = 0x1654_AE6B;
    pub(crate) const TRACK_ENTRY: u32 = 0xAE;
    pub(crate) const TRACK_NUMBER: u32 = 0xD7;
    pub(crate) const TRACK_UID: u32 = 0x73C5;
    pub(crate) const TRACK_TYPE: u32 = 0x83;
    pub(crate) const FLAG_LACING: u32 = 0x9C;
    pub(crate) const NAME: u32 = 0x536E;
    pub(crate) const LANGUAGE: u32 = 0x22_B59C;
    pub(crate) const CODEC_ID: u32 = 0x86;
    pub(crate) const CODEC_PRIVATE: u32 = 0x63A2;
    pub(crate) const CODEC_DELAY: u32 = 0x56AA;
    pub(crate) const SEEK_PRE_ROLL: u32 = 0x56BB;
    pub(crate) const VIDEO: u32 = 0xE0;
    pub(crate) const FLAG_INTERLACED: u32 = 0x9A;
    pub(crate) const PIXEL_WIDTH: u32 = 0xB0;
    pub(crate) const PIXEL_HEIGHT: u32 = 0xBA;
    pub(crate) const PROJECTION: u32 = 0x7670;
    pub(crate) const PROJECTION_TYPE: u32 = 0x7671;
    pub(crate) const PROJECTION_POSE_ROLL: u32 = 0x7675;
    pub(crate) const AUDIO: u32 = 0xE1;
    pub(crate) const SAMPLING_FREQUENCY: u32 = 0xB5;
    pub(crate) const CHANNELS: u32 = 0x9F;
    pub(crate) const BIT_DEPTH: u32 = 0x6264;
    pub(crate) const CLUSTER: u32 = 0x1F43_B675;
    pub(crate) const TIMESTAMP: u32 = 0xE7;
    pub(crate) const SIMPLE_BLOCK: u32 = 0xA3;
    pub(crate) const CUES: u32 = 0x1C53_BB6B;
    pub(crate) const CUE_POINT: u32 = 0xBB;
    pub(crate) const CUE_TIME: u32 = 0xB3;
    pub(crate) const CUE_TRACK_POSITIONS: u32 = 0xB7;
    pub(crate) const CUE_TRACK: u32 = 0xF7;
    pub(crate) const CUE_CLUSTER_POSITION: u32 = 0xF1;
    pub(crate) const CUE_RELATIVE_POSITION: u32 = 0xF0;
}

/// The size of an element that is still being written (RFC 8794 §6.2), in as many bytes as [`size8`].
pub(super) const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// A size in eight bytes, which replaces [`UNKNOWN_SIZE`].
pub(super) fn size8(size: u64) -> [u8; 8] {
    (1 << 56 | size & ((1 << 56) - 1)).to_be_bytes()
}

/// Writes an element id.
pub(super) fn put_id(out: &mut impl BufMut, id: u32) {
    let bytes = id.to_be_bytes();
    out.put_slice(&bytes[(id.leading_zeros() / 8) as usize..]);
}

/// Writes a size in as few bytes as possible.
pub(super) fn put_size(out: &mut impl BufMut, size: usize) {
    let size = size as u64;
    // All ones means "unknown" in each length (RFC 8794 §6.2).
    let length = (1..8).find(|length| size < (1 << (7 * length)) - 1).unwrap_or(8);
    let marked = (1 << (7 * length)) | size;
    out.put_slice(&marked.to_be_bytes()[8 - length..]);
}

/// Writes an element with this content: bytes, text, or children.
pub(super) fn put(out: &mut impl BufMut, id: u32, content: &[u8]) {
    put_id(out, id);
    put_size(out, content.len());
    out.put_slice(content);
}

/// Writes an unsigned integer in as few bytes as possible.
pub(super) fn put_uint(out: &mut impl BufMut, id: u32, value: u64) {
    let bytes = value.to_be_bytes();
    put(out, id, &bytes[((value | 1).leading_zeros() / 8) as usize..]);
}

/// Writes a 64-bit float.
pub(super) fn put_float(out: &mut impl BufMut, id: u32, value: f64) {
    put(out, id, &value.to_be_bytes());
}

/// Writes an element. `fill` writes its children.
pub(super) fn put_master(out: &mut impl BufMut, id: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    fill(&mut content);
    put(out, id, &content);
}

/// Writes a Void of `total` bytes. Nothing if `total` is less than two, the size of its own header.
pub(super) fn put_void(out: &mut impl BufMut, total: usize) {
    match total {
        0 | 1 => {}
        2..=9 => {
            put_id(out, id::VOID);
            put_size(out, total - 2);
            out.put_bytes(0, total - 2);
        }
        _ => {
            put_id(out, id::VOID);
            out.put_slice(&size8((total - 9) as u64));
            out.put_bytes(0, total - 9);
        }
    }
}
