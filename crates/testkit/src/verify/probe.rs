//! Streams, duration, packets, and whether all of it decodes.

use std::{ffi::OsString, path::Path};

use serde::Deserialize;

use super::tool::{VerifyError, run};

/// What ffprobe reads from the headers.
#[derive(Clone, Debug, Deserialize)]
pub struct Probe {
    /// In the order of the file.
    pub streams: Vec<Stream>,
    format: Format,
}

/// One track.
#[derive(Clone, Debug, Deserialize)]
pub struct Stream {
    /// As in `-map 0:index`.
    pub index: usize,
    /// `vp8`, `opus`, …
    pub codec_name: String,
    /// `video`, `audio`, `subtitle`, …
    pub codec_type: String,
    /// Pixels, for video.
    #[serde(default)]
    pub width: u32,
    /// Pixels, for video.
    #[serde(default)]
    pub height: u32,
}

#[derive(Clone, Debug, Deserialize)]
struct Format {
    duration: Option<String>,
    start_time: Option<String>,
    #[serde(default)]
    format_name: String,
}

impl Probe {
    /// The container's duration in seconds, if its header has one.
    #[must_use]
    pub fn duration(&self) -> Option<f64> {
        self.format.duration.as_ref()?.parse().ok()
    }

    /// The first timestamp in seconds.
    #[must_use]
    pub fn start(&self) -> Option<f64> {
        self.format.start_time.as_ref()?.parse().ok()
    }

    /// `matroska,webm` for both; see [`is_webm`](Self::is_webm) for which.
    #[must_use]
    pub fn format_name(&self) -> &str {
        &self.format.format_name
    }

    /// Codec names of tracks of a kind (`video`, `audio`), in the order of the file.
    #[must_use]
    pub fn codecs(&self, kind: &str) -> Vec<&str> {
        let streams = self.streams.iter().filter(|stream| stream.codec_type == kind);
        streams.map(|stream| stream.codec_name.as_str()).collect()
    }

    /// Tracks of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Stream> {
        self.streams.iter().filter(move |stream| stream.codec_type == kind)
    }

    /// Whether every codec is allowed in WebM, not only in Matroska.
    #[must_use]
    pub fn is_webm(&self) -> bool {
        self.streams
            .iter()
            .all(|stream| ["vp8", "vp9", "av1", "opus", "vorbis"].contains(&stream.codec_name.as_str()))
    }
}

/// One coded frame of the container.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    /// Which track.
    pub stream: usize,
    /// Seconds from the start of the file.
    pub time: f64,
    /// Bytes.
    pub size: usize,
    /// Marked as a place where decoding can start.
    pub keyframe: bool,
}

/// Reads the headers.
///
/// # Errors
/// [`VerifyError::Refused`] if it is no media file.
pub fn probe(file: &Path) -> Result<Probe, VerifyError> {
    let mut arguments: Vec<OsString> =
        ["-v", "error", "-of", "json", "-show_streams", "-show_format"].map(Into::into).into();
    arguments.push(file.into());
    let output = run("ffprobe", arguments)?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| VerifyError::Answer { tool: "ffprobe", reason: error.to_string() })
}

/// Reads every packet of the file, in the order of the file.
///
/// # Errors
/// [`VerifyError::Refused`] if the file can't be read to its end.
pub fn packets(file: &Path) -> Result<Vec<Packet>, VerifyError> {
    #[derive(Deserialize)]
    struct Answer {
        packets: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        stream_index: usize,
        pts_time: Option<String>,
        size: String,
        flags: String,
    }
    let entries = "packet=stream_index,pts_time,size,flags";
    let mut arguments: Vec<OsString> =
        ["-v", "error", "-of", "json", "-show_entries", entries].map(Into::into).into();
    arguments.push(file.into());
    let output = run("ffprobe", arguments)?;
    let unreadable = |reason: String| VerifyError::Answer { tool: "ffprobe", reason };
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|error| unreadable(error.to_string()))?;
    let packet = |row: Row| {
        let time = row.pts_time.and_then(|time| time.parse().ok());
        Ok(Packet {
            stream: row.stream_index,
            time: time.ok_or_else(|| unreadable("a packet without a time".into()))?,
            size: row.size.parse().map_err(|_| unreadable("a packet without a size".into()))?,
            keyframe: row.flags.starts_with('K'),
        })
    };
    answer.packets.into_iter().map(packet).collect()
}

/// Decodes every track to its end and stops at the first error, including errors that players ignore.
///
/// # Errors
/// [`VerifyError::Refused`] with what the decoder said.
pub fn decode_strictly(file: &Path) -> Result<(), VerifyError> {
    let mut arguments: Vec<OsString> =
        ["-v", "error", "-nostdin", "-xerror", "-err_detect", "+crccheck+bitstream+buffer"]
            .map(Into::into)
            .into();
    arguments.extend([OsString::from("-i"), file.into()]);
    // Every picture once and at its own time. Otherwise ffmpeg complains about the rate that it guessed.
    arguments.extend(["-map", "0:v?", "-map", "0:a?", "-fps_mode", "passthrough"].map(Into::into));
    arguments.extend(["-enc_time_base", "-1", "-f", "null", "-"].map(Into::into));
    let output = run("ffmpeg", arguments)?;
    if output.stderr.is_empty() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(VerifyError::Refused { tool: "ffmpeg", arguments: format!("-xerror -i {}", file.display()), stderr })
}
