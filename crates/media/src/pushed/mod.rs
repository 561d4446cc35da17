//! Audio that another service pushes: messages of any length in, frames with their times out.
//!
//! Time is counted in samples: how fast the messages come says nothing. A timestamp that is later than the samples
//! before it end leaves a gap.

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};

use crate::{
    Encoding, MediaTime, PayloadFormat,
    depacketize::opus,
    time::{MILLISECOND, SECOND, nanos},
};

/// A timestamp that is later by no more than this has been rounded.
const ROUNDING: i64 = 5 * MILLISECOND;
/// One that is earlier by no more than this has jittered, or belongs to a sample clock that is a little slow.
const OVERLAP: i64 = SECOND / 2;
/// A longer gap is a mistake.
const LONGEST_GAP: Duration = Duration::from_secs(24 * 3600);
/// A stated duration and the data may differ by this.
const DURATION_ROUNDING: i64 = MILLISECOND;
/// PCM is written in blocks of a second divided by this.
const BLOCKS_A_SECOND: u32 = 50;
/// Opus counts its time in these, whatever it was made from (RFC 7845 §4.2).
const OPUS_RATE: u32 = 48_000;

/// What is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioFormat {
    /// Signed 16-bit little-endian samples, channels interleaved.
    Pcm {
        /// Samples a second, 8,000 to 192,000.
        sample_rate: u32,
        /// 1 or 2.
        channels: u8,
    },
    /// Opus packets (RFC 6716).
    Opus {
        /// 1 or 2.
        channels: u8,
    },
}

/// One message of a push.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioChunk {
    /// Whole samples of all channels, or one Opus packet.
    pub data: Bytes,
    /// When its first sample was captured, on any clock that does not jump; none: right after the message before.
    pub timestamp: Option<Duration>,
    /// How long it sounds, as a check; none: what the data says.
    pub duration: Option<Duration>,
}

/// Why audio is refused: the sender's fault. What came before it stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AudioError {
    /// A sample rate that nobody uses.
    #[error("{0} samples a second are not within 8000 to 192000")]
    SampleRate(u32),
    /// Neither mono nor stereo.
    #[error("{0} channels are neither mono nor stereo")]
    Channels(u32),
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// More than a message may hold.
    #[error("has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// Bytes are left over.
    #[error("has {bytes} bytes, no whole number of samples of {sample} bytes")]
    PartialSample {
        /// What it has.
        bytes: usize,
        /// A sample of all channels.
        sample: usize,
    },
    /// Not Opus.
    #[error("is no Opus packet: {0}")]
    NotOpus(&'static str),
    /// The duration that was stated is not that of the data.
    #[error("is {stated:?}, but the data lasts {found:?}: the rate or the format is another")]
    Duration {
        /// As stated.
        stated: Duration,
        /// As found.
        found: Duration,
    },
    /// Messages in the wrong order.
    #[error("{timestamp:?} is before {before:?}, that of an earlier message")]
    Order {
        /// Of this message.
        timestamp: Duration,
        /// Of an earlier one.
        before: Duration,
    },
    /// More samples than fit between two timestamps.
    #[error(
        "{timestamp:?} lies {overlap:?} before the end of the audio before it: the sample rate is another"
    )]
    Overlap {
        /// Of this message.
        timestamp: Duration,
        /// How far it reaches back.
        overlap: Duration,
    },
    /// A gap that can't be meant.
    #[error("{timestamp:?} leaves a gap of {gap:?}, more than a day")]
    Gap {
        /// Of this message.
        timestamp: Duration,
        /// To the end of the audio before it.
        gap: Duration,
    },
}

impl AudioError {
    /// The member of the message, or of the format, that is wrong.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::SampleRate(_) => "sample_rate",
            Self::Channels(_) => "channels",
            Self::Empty | Self::TooLarge { .. } | Self::PartialSample { .. } | Self::NotOpus(_) => "data",
            Self::Duration { .. } => "duration",
            Self::Order { .. } | Self::Overlap { .. } | Self::Gap { .. } => "timestamp",
        }
    }
}

impl AudioFormat {
    /// The most bytes of one message.
    pub const MAX_CHUNK: usize = 1 << 20;

    /// Whether it can be recorded.
    ///
    /// # Errors
    /// `SampleRate`, `Channels`.
    pub fn check(self) -> Result<(), AudioError> {
        match self {
            Self::Pcm { sample_rate, .. } if !(8_000..=192_000).contains(&sample_rate) => {
                Err(AudioError::SampleRate(sample_rate))
            }
            Self::Pcm { channels, .. } | Self::Opus { channels } if !(1..=2).contains(&channels) => {
                Err(AudioError::Channels(channels.into()))
            }
            _ => Ok(()),
        }
    }

    /// As a track's format.
    #[must_use]
    pub fn payload_format(self) -> PayloadFormat {
        let (encoding, clock_rate, channels) = match self {
            Self::Pcm { sample_rate, channels } => (Encoding::Pcm, sample_rate, channels),
            Self::Opus { channels } => (Encoding::Opus, OPUS_RATE, channels),
        };
        PayloadFormat { payload_type: 0, encoding, clock_rate, channels, fmtp: String::new() }
    }

    fn rate(self) -> u32 {
        match self {
            Self::Pcm { sample_rate, .. } => sample_rate,
            Self::Opus { .. } => OPUS_RATE,
        }
    }

    /// Bytes of a sample of all channels.
    fn sample_bytes(self) -> usize {
        match self {
            Self::Pcm { channels, .. } => 2 * usize::from(channels),
            Self::Opus { .. } => 1,
        }
    }

    /// How long a message sounds, in samples.
    fn samples(self, data: &[u8]) -> Result<u64, AudioError> {
        if data.is_empty() {
            return Err(AudioError::Empty);
        }
        if data.len() > Self::MAX_CHUNK {
            return Err(AudioError::TooLarge { bytes: data.len(), limit: Self::MAX_CHUNK });
        }
        match self {
            Self::Pcm { .. } => {
                let sample = self.sample_bytes();
                if !data.len().is_multiple_of(sample) {
                    return Err(AudioError::PartialSample { bytes: data.len(), sample });
                }
                Ok((data.len() / sample) as u64)
            }
            Self::Opus { .. } => opus::samples(data).map_err(AudioError::NotOpus),
        }
    }
}

/// A frame for [`Input::Frame`](crate::Input::Frame).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFrame {
    /// From the first sample that was pushed.
    pub time: MediaTime,
    /// A block of PCM, or an Opus packet.
    pub data: Bytes,
}

/// Cuts what is pushed into frames and counts their time. Holds less than a block back, until more comes or
/// [`flush`](Self::flush); frames wait until they are taken.
#[derive(Debug, Clone)]
pub struct PushedAudio {
    format: AudioFormat,
    /// The timestamp that is time zero; what messages without one count from is zero, too.
    zero: Option<Duration>,
    newest: Option<Duration>,
    /// Where the samples are counted from: the last gap's end, in nanoseconds.
    base: i64,
    /// Samples since, those held back included.
    samples: u64,
    held: BytesMut,
    frames: VecDeque<AudioFrame>,
}

impl PushedAudio {
    /// Nothing pushed yet.
    ///
    /// # Errors
    /// As [`AudioFormat::check`].
    pub fn new(format: AudioFormat) -> Result<Self, AudioError> {
        format.check()?;
        Ok(Self {
            format,
            zero: None,
            newest: None,
            base: 0,
            samples: 0,
            held: BytesMut::new(),
            frames: VecDeque::new(),
        })
    }

    /// Takes a message in. Take the frames out afterwards.
    ///
    /// # Errors
    /// [`AudioError`]; then nothing of the message was taken.
    pub fn push(&mut self, chunk: AudioChunk) -> Result<(), AudioError> {
        let samples = self.format.samples(&chunk.data)?;
        if let Some(stated) = chunk.duration {
            let found = self.nanos_of(samples);
            if nanos(stated).saturating_sub(found).saturating_abs() > DURATION_ROUNDING {
                let found = Duration::from_nanos(found.unsigned_abs());
                return Err(AudioError::Duration { stated, found });
            }
        }
        if let Some(timestamp) = chunk.timestamp {
            self.arrange(timestamp)?;
        } else if self.zero.is_none() {
            self.zero = Some(Duration::ZERO);
        }
        match self.format {
            AudioFormat::Pcm { .. } => {
                self.samples += samples;
                self.held.extend_from_slice(&chunk.data);
                self.cut_blocks();
            }
            AudioFormat::Opus { .. } => {
                let time = MediaTime(self.end());
                self.samples += samples;
                self.frames.push_back(AudioFrame { time, data: chunk.data });
            }
        }
        Ok(())
    }

    /// What is held back becomes a frame: the end has come, or a pause.
    pub fn flush(&mut self) {
        if !self.held.is_empty() {
            let time = self.held_time();
            let data = self.held.split().freeze();
            self.frames.push_back(AudioFrame { time, data });
        }
    }

    /// The next frame.
    pub fn pop(&mut self) -> Option<AudioFrame> {
        self.frames.pop_front()
    }

    /// Finds where a timestamp stands, and leaves a gap where it is late.
    fn arrange(&mut self, timestamp: Duration) -> Result<(), AudioError> {
        if let Some(before) = self.newest.filter(|before| timestamp < *before) {
            return Err(AudioError::Order { timestamp, before });
        }
        let zero = *self.zero.get_or_insert(timestamp);
        let end = self.end();
        let at = nanos(timestamp.saturating_sub(zero));
        if at < end - OVERLAP {
            let overlap = Duration::from_nanos((end - at).unsigned_abs());
            return Err(AudioError::Overlap { timestamp, overlap });
        }
        if at - end > nanos(LONGEST_GAP) {
            let gap = Duration::from_nanos((at - end).unsigned_abs());
            return Err(AudioError::Gap { timestamp, gap });
        }
        self.newest = Some(timestamp);
        if at - end > ROUNDING {
            self.flush();
            self.base = at;
            self.samples = 0;
        }
        Ok(())
    }

    fn cut_blocks(&mut self) {
        let block = (self.format.rate() / BLOCKS_A_SECOND) as usize * self.format.sample_bytes();
        while self.held.len() >= block {
            let time = self.held_time();
            let data = self.held.split_to(block).freeze();
            self.frames.push_back(AudioFrame { time, data });
        }
    }

    /// Where the audio that was pushed ends.
    fn end(&self) -> i64 {
        self.base.saturating_add(self.nanos_of(self.samples))
    }

    /// Where what is held back begins.
    fn held_time(&self) -> MediaTime {
        let held = (self.held.len() / self.format.sample_bytes()) as u64;
        MediaTime(self.base.saturating_add(self.nanos_of(self.samples - held)))
    }

    /// Counted from the samples each time: rounding never adds up.
    fn nanos_of(&self, samples: u64) -> i64 {
        let nanos = u128::from(samples) * 1_000_000_000 / u128::from(self.format.rate());
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
