//! Reads bits of headers, most significant first.

use super::DepacketizeError;

/// Reads bits. Past the end every call returns [`DepacketizeError::Truncated`].
#[derive(Debug, Clone)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Result<bool, DepacketizeError> {
        let byte = self.bytes.get(self.at / 8).ok_or(DepacketizeError::Truncated)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// Reads at most 32 bits.
    pub(super) fn read(&mut self, count: u32) -> Result<u32, DepacketizeError> {
        let mut value = 0;
        for _ in 0..count.min(32) {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), DepacketizeError> {
        self.at = self.at.saturating_add(count);
        if self.at > self.bytes.len() * 8 { Err(DepacketizeError::Truncated) } else { Ok(()) }
    }

    /// `ue(v)` of H.264 §9.1, and `uvlc()` of AV1 §4.10.3, which is the same.
    pub(super) fn exp_golomb(&mut self) -> Result<u32, DepacketizeError> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(DepacketizeError::Invalid);
            }
        }
        Ok((1 << zeros) - 1 + self.read(zeros)?)
    }

    /// `se(v)` of H.264 §9.1.1.
    pub(super) fn signed_exp_golomb(&mut self) -> Result<i64, DepacketizeError> {
        let code = i64::from(self.exp_golomb()?);
        Ok(if code % 2 == 0 { -(code / 2) } else { (code + 1) / 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_golomb_codes_are_read() {
        // 1, 010, 011, 00100, 00101: zero to four.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.exp_golomb().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.signed_exp_golomb().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn the_end_is_an_error() {
        assert_eq!(Bits::new(&[]).bit(), Err(DepacketizeError::Truncated));
        assert_eq!(Bits::new(&[0; 8]).exp_golomb(), Err(DepacketizeError::Invalid));
        assert_eq!(Bits::new(&[1]).skip(9), Err(DepacketizeError::Truncated));
        assert_eq!(Bits::new(&[0xff; 4]).read(32), Ok(u32::MAX));
    }
}
