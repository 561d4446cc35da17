//! Reading the input: what is in it, its packets in order, its pictures and its sound.

mod demux;
mod keyframe;
mod picture;
mod rotation;
mod sound;
mod survey;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use ffmpeg_next as ff;

use crate::{TranscodeError, libav, partial, progress::Cancelled};

pub(crate) use demux::Demux;
pub(crate) use picture::{PictureSource, largest_picture};
pub(crate) use rotation::Rotation;
pub(crate) use sound::SoundSource;
pub(crate) use survey::{Kind, Run, Survey, Track};

/// Containers that are tried. Left out are those that name other files or hosts, such as playlists: an input must
/// never make this machine read anything else.
const FORMATS: &str = "matroska,webm,ogg,mov,mp4,m4a,wav,mp3,ivf,flac,aac";

fn open(path: &Path) -> Result<ff::format::context::Input, TranscodeError> {
    let mut options = ff::Dictionary::new();
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", FORMATS);
    ff::format::input_with_dictionary(&partial::url_of(path)?, options).map_err(|error| {
        if error == EIO && disk_reads(path).is_ok() {
            return TranscodeError::Unreadable { detail: libav::with_log("cut off in its header") };
        }
        libav::unreadable("opening the input", error)
    })
}

const EIO: ff::Error = ff::Error::Other { errno: ff::error::EIO };

/// Failures of reading packets in a row after which there is nothing more to be had.
const MAX_FAILURES: u32 = 1_000;

/// Reads packets past damage.
struct Reader {
    input: ff::format::context::Input,
    path: PathBuf,
    disk_is_fine: bool,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, TranscodeError> {
        Ok(Self { input: open(path)?, path: path.to_owned(), disk_is_fine: false })
    }

    /// The next packet that can be read; `None` at the end.
    fn next(&mut self, cancelled: Cancelled<'_>) -> Result<Option<ff::Packet>, TranscodeError> {
        for _ in 0..MAX_FAILURES {
            cancelled.check()?;
            let mut packet = ff::Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => return Ok(Some(packet)),
                Err(ff::Error::Eof) => return Ok(None),
                Err(error) if error == EIO && !self.disk_is_fine => {
                    disk_reads(&self.path)?;
                    self.disk_is_fine = true;
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

/// libav calls a damaged file an input/output error too. A disk that can't be read must not pass for that: the
/// recording is then given up although nothing is wrong with it.
fn disk_reads(path: &Path) -> Result<(), TranscodeError> {
    let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
    read.map(drop).map_err(|error| TranscodeError::io("reading the input", &error))
}
