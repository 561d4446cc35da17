//! Draws the test picture, and reads the counter from a decoded one.

use super::FRAME_RATE;

/// Cells of the bar, from the left: white, black (so that a reader can tell the bar from a blank picture), 16 bits of
/// the counter with the most significant first, 2 bits that count the ones modulo 4.
pub const BAR_CELLS: usize = 20;

const COUNTER_BITS: usize = 16;
const WHITE: u8 = 235;
const BLACK: u8 = 16;

/// The lowest eighth of the picture is the bar.
fn bar_top(height: usize) -> usize {
    height - height / 8
}

fn cell(number: u16, index: usize) -> bool {
    match index {
        0 => true,
        1 => false,
        _ if index < 2 + COUNTER_BITS => number >> (COUNTER_BITS + 1 - index) & 1 == 1,
        _ => number.count_ones() >> (BAR_CELLS - 1 - index) & 1 == 1,
    }
}

/// Draws picture `number` as planar YUV 4:2:0. `texture` is the share of the picture that is new noise in each frame,
/// 0 to 255. It raises the bit rate to what a camera's picture needs.
pub(super) fn draw(number: u32, (width, height): (usize, usize), texture: u8, into: &mut Vec<u8>) {
    into.clear();
    let flash = number.is_multiple_of(FRAME_RATE);
    let bar = bar_top(height);
    let mut noise = Noise(u64::from(number) << 20 | 0x9e37_79b9);
    for y in 0..bar {
        for x in 0..width {
            let luma = if flash {
                WHITE
            } else {
                // Slow vertical stripes that scroll, so that inter prediction has motion to follow.
                let stripe = ((x + number as usize * 2) / 16 % 8) as u8 * 12 + 40;
                if y % 4 == 0 && noise.byte() < texture { stripe ^ (noise.byte() & 0x3f) } else { stripe }
            };
            into.push(luma);
        }
    }
    for _ in bar..height {
        for x in 0..width {
            let index = x * BAR_CELLS / width;
            into.push(if cell(number as u16, index) { WHITE } else { BLACK });
        }
    }
    into.resize(width * height * 3 / 2, 128);
}

/// The counter of a decoded picture, from its luma plane; `None` if the bar is damaged.
///
/// `luma` holds `width * height` bytes, rows from the top.
#[must_use]
pub fn read_counter(luma: &[u8], width: usize, height: usize) -> Option<u16> {
    let top = bar_top(height);
    let (middle, half) = ((top + height) / 2, (height - top) / 4);
    let cell_width = width / BAR_CELLS;
    let mut bits = [false; BAR_CELLS];
    for (index, bit) in bits.iter_mut().enumerate() {
        let left = index * width / BAR_CELLS + cell_width / 4;
        let (mut sum, mut count) = (0usize, 0usize);
        for y in middle - half..=middle + half {
            let row = luma.get(y * width + left..y * width + left + (cell_width / 2).max(1))?;
            sum += row.iter().map(|luma| usize::from(*luma)).sum::<usize>();
            count += row.len();
        }
        *bit = sum > count * 126;
    }
    let number = bits[2..2 + COUNTER_BITS].iter().fold(0u16, |number, bit| number << 1 | u16::from(*bit));
    (0..BAR_CELLS).all(|index| bits[index] == cell(number, index)).then_some(number)
}

struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_is_read_back_from_the_drawn_picture() {
        let mut picture = Vec::new();
        for (width, height) in [(320, 240), (160, 120), (1280, 720)] {
            for number in [0, 1, 29, 30, 4095, 65_535] {
                draw(number, (width, height), 64, &mut picture);
                assert_eq!(read_counter(&picture, width, height), Some(number as u16));
            }
        }
    }

    #[test]
    fn blank_and_damaged_bars_have_no_counter() {
        assert_eq!(read_counter(&[235; 160 * 120], 160, 120), None);
        assert_eq!(read_counter(&[16; 160 * 120], 160, 120), None);
        let mut picture = Vec::new();
        draw(77, (160, 120), 0, &mut picture);
        for y in 105..120 {
            picture[y * 160 + 80..y * 160 + 88].fill(235);
        }
        assert_eq!(read_counter(&picture, 160, 120), None);
        assert_eq!(read_counter(&picture[..100], 160, 120), None);
    }
}
