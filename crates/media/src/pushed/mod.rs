//! Audio that another service pushes: messages of any length to frames with their times.
//!
//! Time is counted in samples. How fast the messages arrive has no effect. A timestamp later than the end of the samples
//! before it leaves a gap.

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};

use crate::{
    Codec, MediaTime, PayloadFormat, PayloadType,
    depacketize::opus,
    time::{MILLISECOND, SECOND, nanos},
};

/// A timestamp that is later by no more than this was rounded. In nanoseconds.
const ROUNDING: i64 = 5 * MILLISECOND;
/// A timestamp that is earlier by no more than this has jitter, or a sample clock that is slightly slow. In nanoseconds.
const OVERLAP: i64 = SECOND / 2;
/// A longer gap is an error.
const LONGEST_GAP: Duration = Duration::from_secs(24 * 3600);
/// The stated duration may differ from that of the data by this many nanoseconds.
const DURATION_ROUNDING: i64 = MILLISECOND;
/// PCM is written in blocks of 20 ms.
const BLOCKS_PER_SECOND: u32 = 50;
/// Samples of Opus a second, whatever the rate of its input was (RFC 7845 §4).
const OPUS_RATE: u32 = 48_000;

/// The format of pushed audio.
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

/// One message of pushed audio.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioChunk {
    /// Whole samples of all channels, or one Opus packet.
    pub data: Bytes,
    /// When its first sample was captured, on any clock that does not jump. None: at the end of the message before.
    pub timestamp: Option<Duration>,
    /// Its duration, as a check. None: no check.
    pub duration: Option<Duration>,
}

/// Why audio is refused. The sender is at fault. Earlier audio is not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AudioError {
    /// The sample rate is out of range.
    #[error("{0} samples a second are not within 8000 to 192000")]
    SampleRate(u32),
    /// The audio is neither mono nor stereo.
    #[error("{0} channels are neither mono nor stereo")]
    Channels(u32),
    /// The message has no data.
    #[error("is empty")]
    Empty,
    /// The message exceeds [`AudioFormat::MAX_CHUNK`].
    #[error("has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// The message ends in a sample.
    #[error("has {bytes} bytes, which is not a whole number of samples of {sample} bytes")]
    PartialSample {
        /// Its size.
        bytes: usize,
        /// The size of a sample of all channels.
        sample: usize,
    },
    /// The data is not an Opus packet.
    #[error("is not an Opus packet: {0}")]
    NotOpus(&'static str),
    /// The stated duration is not that of the data.
    #[error("is {stated:?}, but the data lasts {found:?}: the stated rate or format is wrong")]
    Duration {
        /// As stated.
        stated: Duration,
        /// As found.
        found: Duration,
    },
    /// Timestamps of messages decrease.
    #[error("{timestamp:?} is before {before:?}, the timestamp of an earlier message")]
    Order {
        /// The timestamp of this message.
        timestamp: Duration,
        /// The timestamp of an earlier one.
        before: Duration,
    },
    /// More samples than fit between two timestamps.
    #[error(
        "{timestamp:?} is {overlap:?} before the end of the audio before it: the stated sample rate is wrong"
    )]
    Overlap {
        /// The timestamp of this message.
        timestamp: Duration,
        /// By how much it is before the end of the earlier audio.
        overlap: Duration,
    },
    /// The gap before the message is too long.
    #[error("{timestamp:?} leaves a gap of {gap:?}, more than a day")]
    Gap {
        /// The timestamp of this message.
        timestamp: Duration,
        /// From the end of the earlier audio.
        gap: Duration,
    },
}

impl AudioError {
    /// The name of the wrong field of the message or of the format.
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
    /// The most bytes of a message.
    pub const MAX_CHUNK: usize = 1 << 20;

    /// Checks that the format can be recorded.
    ///
    /// # Errors
    /// [`AudioError::SampleRate`], [`AudioError::Channels`].
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

    /// The format of a track of this audio.
    #[must_use]
    pub fn payload_format(self) -> PayloadFormat {
        let (codec, clock_rate, channels) = match self {
            Self::Pcm { sample_rate, channels } => (Codec::Pcm, sample_rate, channels),
            Self::Opus { channels } => (Codec::Opus, OPUS_RATE, channels),
        };
        PayloadFormat {
            payload_type: PayloadType(0),
            encoding: codec.into(),
            clock_rate,
            channels,
            fmtp: String::new(),
        }
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

    /// Samples of a message.
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
    /// When its first sample is presented, from the first sample that was pushed.
    pub time: MediaTime,
    /// A block of PCM, or an Opus packet.
    pub data: Bytes,
}

/// Splits pushed audio into frames and counts their times. Of PCM less than a block of 20 ms is held back, until the next
/// message or [`flush`](Self::flush). Frames are held until [`pop`](Self::pop).
///
/// ```
/// use std::time::Duration;
///
/// use bytes::Bytes;
/// use media::{AudioChunk, AudioFormat, PushedAudio};
///
/// let mut audio = PushedAudio::new(AudioFormat::Pcm { sample_rate: 16_000, channels: 1 })?;
/// // 50 ms of silence, and after a gap of 100 ms another 10 ms.
/// audio.push(AudioChunk { data: Bytes::from(vec![0; 1_600]), ..AudioChunk::default() })?;
/// let timestamp = Some(Duration::from_millis(150));
/// audio.push(AudioChunk { data: Bytes::from(vec![0; 320]), timestamp, ..AudioChunk::default() })?;
/// audio.flush();
///
/// // Each frame is passed to the recorder as an `Input::Frame`.
/// let frames = std::iter::from_fn(|| audio.pop());
/// let milliseconds: Vec<_> = frames.map(|frame| frame.time.0 / 1_000_000).collect();
/// assert_eq!(milliseconds, [0, 20, 40, 150]);
/// # Ok::<(), media::AudioError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PushedAudio {
    format: AudioFormat,
    /// The timestamp of time zero. It is zero if the first message had none.
    zero: Option<Duration>,
    /// The newest timestamp.
    newest: Option<Duration>,
    /// The end of the newest gap in nanoseconds, from which samples are counted.
    base: i64,
    /// Samples since `base`, with those held back.
    samples: u64,
    held: BytesMut,
    frames: VecDeque<AudioFrame>,
}

impl PushedAudio {
    /// Accepts audio of this format.
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

    /// Adds a message. Call [`pop`](Self::pop) afterwards until it returns None.
    ///
    /// # Errors
    /// [`AudioError`]. The message is ignored.
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
            self.apply_timestamp(timestamp)?;
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

    /// Makes a frame of the samples held back: before a pause, and at the end.
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

    /// Checks a timestamp against the end of the audio before it, and leaves a gap if it is later.
    fn apply_timestamp(&mut self, timestamp: Duration) -> Result<(), AudioError> {
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
        let block = (self.format.rate() / BLOCKS_PER_SECOND) as usize * self.format.sample_bytes();
        while self.held.len() >= block {
            let time = self.held_time();
            let data = self.held.split_to(block).freeze();
            self.frames.push_back(AudioFrame { time, data });
        }
    }

    /// When the pushed audio ends, in nanoseconds.
    fn end(&self) -> i64 {
        self.base.saturating_add(self.nanos_of(self.samples))
    }

    /// When the samples held back begin.
    fn held_time(&self) -> MediaTime {
        let held = (self.held.len() / self.format.sample_bytes()) as u64;
        MediaTime(self.base.saturating_add(self.nanos_of(self.samples - held)))
    }

    /// The duration of all samples since `base`: rounding errors do not add up.
    fn nanos_of(&self, samples: u64) -> i64 {
        let nanos = u128::from(samples) * 1_000_000_000 / u128::from(self.format.rate());
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
