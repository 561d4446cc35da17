//! VP8 (RFC 7741).

use super::{DepacketizeError, Picture, PictureId, Piece, take};

/// Appends a packet's part of the frame, without the payload descriptor (§4.2).
pub(super) fn push(payload: &[u8], frame: &mut Vec<u8>) -> Result<Piece, DepacketizeError> {
    let (piece, data) = descriptor(payload)?;
    frame.extend_from_slice(data);
    Ok(piece)
}

fn descriptor(payload: &[u8]) -> Result<(Piece, &[u8]), DepacketizeError> {
    let (&first, mut rest) = payload.split_first().ok_or(DepacketizeError::Truncated)?;
    let begins = first & 0x10 != 0 && first & 0x07 == 0;
    let mut picture = None;
    if first & 0x80 != 0 {
        let extensions = take(&mut rest)?;
        if extensions & 0x80 != 0 {
            picture = Some(PictureId::parse(&mut rest)?);
        }
        if extensions & 0x40 != 0 {
            take(&mut rest)?;
        }
        // TID and KEYIDX are in one byte.
        if extensions & 0x30 != 0 {
            take(&mut rest)?;
        }
    }
    if rest.is_empty() {
        return Err(DepacketizeError::Truncated);
    }
    Ok((Piece { first: Some(begins), picture }, rest))
}

/// Reads the frame header (RFC 6386 §9.1).
pub(super) fn finish(frame: &[u8]) -> Result<Picture, DepacketizeError> {
    let (&tag, rest) = frame.split_first().ok_or(DepacketizeError::Truncated)?;
    if tag & 1 != 0 {
        return Ok(Picture::default());
    }
    let &[_, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = rest else { return Err(DepacketizeError::Invalid) };
    // The upper two bits are for scaling.
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Ok(Picture { keyframe: true, size: Some((side(w0, w1), side(h0, h1))) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_each_form_are_removed() {
        let wide = |number| Some(PictureId { number, wide: true });
        let narrow = |number| Some(PictureId { number, wide: false });
        // RFC 7741 §4.2, figure 2, and the examples of §4.6.
        for (payload, first, picture) in [
            (&[0x10, 7][..], true, None),
            (&[0x00, 7], false, None),
            (&[0x11, 7], false, None),
            (&[0x30, 7], true, None),
            (&[0x90, 0x80, 0x11, 7], true, narrow(0x11)),
            (&[0x90, 0x80, 0x92, 0x34, 7], true, wide(0x1234)),
            (&[0x90, 0xe0, 0x92, 0x34, 1, 0x20, 7], true, wide(0x1234)),
            (&[0x80, 0x10, 0x05, 7], false, None),
            (&[0x90, 0x30, 0x45, 7], true, None),
            (&[0x90, 0x00, 7], true, None),
        ] {
            let mut frame = vec![9];
            let piece = push(payload, &mut frame).unwrap();
            assert_eq!((piece.first, piece.picture), (Some(first), picture), "{payload:02x?}");
            assert_eq!(frame, [9, 7], "{payload:02x?}");
        }
    }

    #[test]
    fn a_payload_without_data_is_refused() {
        let whole = [0x90, 0xf0, 0x92, 0x34, 1, 0x20, 7];
        for length in 0..whole.len() {
            assert_eq!(push(&whole[..length], &mut Vec::new()), Err(DepacketizeError::Truncated), "{length}");
        }
    }

    #[test]
    fn the_size_of_a_keyframe_excludes_the_scaling_bits() {
        let key = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0xe0, 0x81, 0];
        assert_eq!(finish(&key).unwrap(), Picture { keyframe: true, size: Some((640, 480)) });
        assert_eq!(finish(&[0x11, 0, 0]).unwrap(), Picture::default());
        assert_eq!(finish(&key[..8]), Err(DepacketizeError::Invalid));
        assert_eq!(finish(&[]), Err(DepacketizeError::Truncated));
    }

    #[test]
    fn picture_ids_continue_past_their_wrap() {
        let id = |number, wide| PictureId { number, wide };
        assert!(id(0, true).follows(id(0x7fff, true)));
        assert!(id(0, false).follows(id(0x7f, false)));
        assert!(!id(2, true).follows(id(0, true)));
        assert!(!id(1, true).follows(id(0, false)));
    }
}
