//! The ranges of parameters: what encoders and players accept.

use std::{fmt::Display, ops::RangeInclusive};

use crate::{
    AudioOptions, BadOption, VideoOptions,
    sink::{PictureCodec, SoundCodec},
};

/// Pixels of a side. Every encoder here accepts the minimum.
pub(super) const SIDE: RangeInclusive<u32> = 64..=7_680;
pub(super) const CHANNELS: RangeInclusive<u32> = 1..=2;

pub(super) fn check_video(options: &VideoOptions, codec: PictureCodec) -> Result<(), BadOption> {
    within("video.width", options.width, SIDE)?;
    within("video.height", options.height, SIDE)?;
    within("video.frame_rate", options.frame_rate, 1..=120)?;
    within("video.bit_rate", options.bit_rate, codec.bit_rates())?;
    within("video.crf", options.crf, codec.qualities())?;
    if options.crf.is_some() && options.bit_rate.is_some() {
        return Err(BadOption::new("video.crf", "can't be given with bit_rate"));
    }
    Ok(())
}

pub(super) fn check_audio(options: &AudioOptions, codec: SoundCodec) -> Result<(), BadOption> {
    within("audio.channels", options.channels, CHANNELS)?;
    let rates = codec.sample_rates();
    if let Some(rate) = options.sample_rate.filter(|rate| !rates.contains(rate)) {
        return Err(BadOption::new("audio.sample_rate", format!("must be one of {rates:?}, not {rate}")));
    }
    // The number of channels of the tracks isn't known yet.
    let channels = options.channels.unwrap_or(*CHANNELS.end());
    let bit_rates = codec.bit_rates(options.sample_rate.unwrap_or(48_000), channels);
    within("audio.bit_rate", options.bit_rate, bit_rates)
}

pub(super) fn within<T: PartialOrd + Display>(
    option: &str,
    value: Option<T>,
    range: RangeInclusive<T>,
) -> Result<(), BadOption> {
    match value {
        Some(value) if !range.contains(&value) => {
            let (least, most) = range.into_inner();
            Err(BadOption::new(option, format!("must be from {least} to {most}, not {value}")))
        }
        _ => Ok(()),
    }
}
