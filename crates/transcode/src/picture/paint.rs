//! Fills, copies and rotates the planes of pictures.

use ffmpeg_next::{format::Pixel, frame};

use super::Rotation;
use crate::TranscodeError;

/// A black picture.
pub(crate) fn blank(size: (u32, u32), format: Pixel) -> Result<frame::Video, TranscodeError> {
    let mut picture = frame::Video::new(format, size.0, size.1);
    if picture.planes() < 3 {
        return Err(TranscodeError::OutOfMemory { doing: "allocating a picture".to_owned() });
    }
    let black = if format == Pixel::YUVJ420P { 0 } else { 16 };
    for (plane, value) in [(0, black), (1, 128), (2, 128)] {
        picture.data_mut(plane).fill(value);
    }
    Ok(picture)
}

/// Copies `picture` onto `canvas`, with its upper left corner at the even coordinates `at`, and clips it. Both are planar
/// 4:2:0.
pub(crate) fn paint(canvas: &mut frame::Video, picture: &frame::Video, at: (u32, u32)) {
    for plane in 0..3 {
        let shift = u32::from(plane > 0);
        let (x, y) = ((at.0 >> shift) as usize, (at.1 >> shift) as usize);
        let room = (canvas.plane_width(plane) as usize).saturating_sub(x);
        let width = (picture.plane_width(plane) as usize).min(room);
        let height = picture.plane_height(plane) as usize;
        let (from_stride, to_stride) = (picture.stride(plane), canvas.stride(plane));
        let from = picture.data(plane).chunks(from_stride).take(height);
        let to = canvas.data_mut(plane).chunks_mut(to_stride).skip(y);
        for (from, to) in from.zip(to) {
            if let (Some(from), Some(to)) = (from.get(..width), to.get_mut(x..x + width)) {
                to.copy_from_slice(from);
            }
        }
    }
}

/// Rotates a picture upright.
pub(super) fn turn(picture: frame::Video, rotation: Rotation) -> Result<frame::Video, TranscodeError> {
    if rotation == Rotation::None {
        return Ok(picture);
    }
    let size = rotation.turned((picture.width(), picture.height()));
    let mut turned = blank(size, picture.format())?;
    for plane in 0..3 {
        let (width, height) = (picture.plane_width(plane) as usize, picture.plane_height(plane) as usize);
        let (from_stride, to_stride) = (picture.stride(plane), turned.stride(plane));
        let from = picture.data(plane);
        let to = turned.data_mut(plane);
        // With small squares, the rows that are read and those that are written fit into the cache.
        for (block_y, block_x) in blocks(height, width) {
            for y in block_y..(block_y + BLOCK).min(height) {
                for x in block_x..(block_x + BLOCK).min(width) {
                    let place = match rotation {
                        Rotation::Clockwise90 => x * to_stride + (height - 1 - y),
                        Rotation::UpsideDown => (height - 1 - y) * to_stride + (width - 1 - x),
                        _ => (width - 1 - x) * to_stride + y,
                    };
                    if let (Some(from), Some(to)) = (from.get(y * from_stride + x), to.get_mut(place)) {
                        *to = *from;
                    }
                }
            }
        }
    }
    Ok(turned)
}

const BLOCK: usize = 16;

fn blocks(height: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height).step_by(BLOCK).flat_map(move |y| (0..width).step_by(BLOCK).map(move |x| (y, x)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brightness of each pixel, row by row.
    fn luma(picture: &frame::Video) -> Vec<u8> {
        let (width, stride) = (picture.width() as usize, picture.stride(0));
        picture.data(0).chunks(stride).flat_map(|row| row[..width].to_vec()).collect()
    }

    fn numbered() -> frame::Video {
        let mut picture = blank((4, 2), Pixel::YUV420P).unwrap();
        let stride = picture.stride(0);
        for (at, value) in [(0, 1), (1, 2), (2, 3), (3, 4), (stride, 5), (stride + 1, 6)] {
            picture.data_mut(0)[at] = value;
        }
        picture
    }

    #[test]
    fn a_clockwise_quarter_turn_moves_the_left_side_to_the_top() {
        let turned = turn(numbered(), Rotation::Clockwise90).unwrap();
        assert_eq!((turned.width(), turned.height()), (2, 4));
        assert_eq!(luma(&turned), [5, 1, 6, 2, 16, 3, 16, 4]);
    }

    #[test]
    fn half_turns_and_three_quarter_turns_rotate_too() {
        let turned = turn(numbered(), Rotation::UpsideDown).unwrap();
        assert_eq!(luma(&turned), [16, 16, 6, 5, 4, 3, 2, 1]);
        let turned = turn(numbered(), Rotation::Clockwise270).unwrap();
        assert_eq!(luma(&turned), [4, 16, 3, 16, 2, 6, 1, 5]);
    }

    #[test]
    fn a_picture_is_clipped_to_the_canvas() {
        let mut canvas = blank((4, 4), Pixel::YUV420P).unwrap();
        paint(&mut canvas, &numbered(), (2, 2));
        assert_eq!(luma(&canvas)[8..], [16, 16, 1, 2, 16, 16, 5, 6]);
    }
}
