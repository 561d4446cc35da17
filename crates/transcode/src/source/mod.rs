//! Reads the input: its tracks, its packets in order, its video frames and its audio.

mod demux;
mod keyframe;
mod measure;
mod open_file;
mod picture;
mod probe;
mod rotation;
mod runs;
mod sound;
mod timestamp_filter;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use ffmpeg_next::{self as ff, format::context::StreamIo};

use crate::{TranscodeError, libav, partial, progress::Cancelled};

pub(crate) use demux::Demux;
pub(crate) use measure::{Measured, measure};
pub(crate) use open_file::{FinalBytes, OpenFile};
pub(crate) use picture::{Pace, PictureSource};
pub(crate) use probe::{Probe, Track};
pub(crate) use sound::SoundSource;

/// Containers that are accepted. Formats that can name other files or hosts, such as playlists, are left out: an input must
/// never make this machine read anything else.
const FORMATS: &str = "matroska,webm,ogg,mov,mp4,m4a,wav,mp3,ivf,flac,aac";

fn open(path: &Path) -> Result<ff::format::context::Input, TranscodeError> {
    ff::format::input_with_dictionary(&partial::url_of(path)?, options()).map_err(|error| {
        if error == EIO && disk_reads(path).is_ok() {
            return TranscodeError::Unreadable { detail: libav::with_log("cut off in its header") };
        }
        libav::unreadable("opening the input", error)
    })
}

fn options() -> ff::Dictionary<'static> {
    let mut options = ff::Dictionary::new();
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", FORMATS);
    options
}

const EIO: ff::Error = ff::Error::Other { errno: ff::error::EIO };

/// Consecutive failures to read a packet after which the input counts as ended.
const MAX_FAILURES: u32 = 1_000;

/// Reads packets and skips damage.
pub(crate) struct Reader {
    input: ff::format::context::Input,
    /// Set until the first input/output error. Then the whole file is read once, to see whether the disk or damage is the
    /// cause.
    suspect: Option<PathBuf>,
}

impl Reader {
    pub(crate) fn open(path: &Path) -> Result<Self, TranscodeError> {
        Ok(Self { input: open(path)?, suspect: Some(path.to_owned()) })
    }

    /// Reads the header. Blocks until it and a few packets are final.
    pub(crate) fn follow(file: OpenFile) -> Result<Self, TranscodeError> {
        /// Bytes. libav can't seek in this input, so it can go back no farther than this after damage.
        const BUFFER: usize = 256 << 10;
        let final_bytes = file.final_bytes();
        let io = StreamIo::from_read_with_capacity(file, BUFFER);
        let input = io.and_then(|io| ff::format::input_from_stream(io, None, Some(options())));
        // If the disk failed, the input is not at fault.
        final_bytes.check()?;
        let input = input.map_err(|error| libav::unreadable("opening the input", error))?;
        Ok(Self { input, suspect: None })
    }

    /// The next readable packet; `None` at the end.
    pub(crate) fn next(&mut self, cancelled: Cancelled<'_>) -> Result<Option<ff::Packet>, TranscodeError> {
        for _ in 0..MAX_FAILURES {
            cancelled.check()?;
            let mut packet = ff::Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => return Ok(Some(packet)),
                Err(ff::Error::Eof) => return Ok(None),
                Err(error) => {
                    if let Some(path) = self.suspect.take_if(|_| error == EIO) {
                        disk_reads(&path)?;
                    }
                }
            }
        }
        Ok(None)
    }
}

/// libav reports damage, too, as an input/output error. If the disk is the cause, the error must say so: a rendition of a
/// damaged file is parked at once, while a failure of the disk is retried.
fn disk_reads(path: &Path) -> Result<(), TranscodeError> {
    let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
    read.map(drop).map_err(|error| TranscodeError::io("reading the input", &error))
}

/// Logs the frames of a track that a decoder skipped.
fn log_errors(track: usize, errors: u64) {
    if errors > 0 {
        tracing::debug!(track, errors, "frames skipped: they can't be decoded");
    }
}
