//! Reading the input: what is in it, its packets in order, its pictures and its sound.

mod demux;
mod keyframe;
mod picture;
mod rotation;
mod sound;
mod survey;

use std::path::Path;

use ffmpeg_next as ff;

use crate::{TranscodeError, libav, partial};

pub(crate) use demux::Demux;
pub(crate) use picture::{PictureSource, largest_picture};
pub(crate) use rotation::Rotation;
pub(crate) use sound::SoundSource;
pub(crate) use survey::{Kind, Survey, Track};

/// Containers that are tried. Left out are those that name other files or hosts, such as playlists: an input must
/// never make this machine read anything else.
const FORMATS: &str = "matroska,webm,ogg,mov,mp4,m4a,wav,mp3,ivf,flac,aac";

fn open(path: &Path) -> Result<ff::format::context::Input, TranscodeError> {
    let mut options = ff::Dictionary::new();
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", FORMATS);
    ff::format::input_with_dictionary(&partial::url_of(path)?, options)
        .map_err(|error| libav::unreadable("opening the input", error))
}
