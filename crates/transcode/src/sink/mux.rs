//! The container of the output.

use std::path::Path;

use ffmpeg_next::{self as ff, Rational, codec, format};

use super::PacketSink;
use crate::{
    TranscodeError, libav, partial, picture::Rotation, progress::Cancelled, source::Track, time::Time,
};

/// A container format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Mp4,
    Webm,
    Mp3,
    Ogg,
    Wav,
    /// For segments, which are later joined in another format.
    Matroska,
}

impl Container {
    fn muxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Webm => "webm",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::Wav => "wav",
            Self::Matroska => "matroska",
        }
    }

    fn options(self) -> ff::Dictionary<'static> {
        let mut options = ff::Dictionary::new();
        match self {
            Self::Mp4 => options.set("movflags", "+faststart"),
            Self::Webm => options.set("cues_to_front", "1"),
            // A RIFF can't store a length beyond 4 GiB.
            Self::Wav => options.set("rf64", "auto"),
            Self::Mp3 | Self::Ogg | Self::Matroska => {}
        }
        options
    }
}

/// A stream of the output.
#[derive(Clone, Copy)]
pub(crate) struct StreamId(pub(super) usize);

/// Writes packets of several streams. All streams are added before [`start`](Self::start).
pub(crate) struct Mux<'a> {
    output: format::context::Output,
    /// Of each stream; empty until the header is written.
    time_bases: Vec<Rational>,
    /// Of each stream: added to its timestamps.
    delays: Vec<Time>,
    container: Container,
    end: Time,
    packets: u64,
    cancelled: Cancelled<'a>,
}

impl<'a> Mux<'a> {
    pub(crate) fn create(
        path: &Path,
        container: Container,
        cancelled: Cancelled<'a>,
    ) -> Result<Self, TranscodeError> {
        let output = format::output_as(&partial::url_of(path)?, container.muxer())
            .map_err(|error| libav::fail("creating the output", error))?;
        Ok(Self {
            output,
            time_bases: Vec::new(),
            delays: Vec::new(),
            container,
            end: Time::ZERO,
            packets: 0,
            cancelled,
        })
    }

    pub(crate) fn container(&self) -> Container {
        self.container
    }

    /// Adds a stream of encoded packets.
    pub(crate) fn add_coded(
        &mut self,
        parameters: codec::Parameters,
        time_base: Rational,
    ) -> Result<StreamId, TranscodeError> {
        let stream = self.output.add_stream(ff::encoder::find(codec::Id::None));
        let mut stream = stream.map_err(|error| libav::fail("adding a stream", error))?;
        stream.set_parameters(parameters);
        stream.set_time_base(time_base);
        Ok(StreamId(stream.index()))
    }

    /// Adds a stream whose packets are copied from the input.
    pub(crate) fn add_copied(&mut self, track: &Track) -> Result<StreamId, TranscodeError> {
        let fail = |error| libav::fail("adding a stream", error);
        let mut stream = self.output.add_stream(ff::encoder::find(codec::Id::None)).map_err(fail)?;
        libav::ffi::copy_parameters(&mut stream, track.parameters.clone());
        stream.set_time_base(track.time_base);
        if track.rotation != Rotation::None {
            libav::ffi::set_display_matrix(&mut stream, track.rotation.display_matrix()).map_err(fail)?;
        }
        Ok(StreamId(stream.index()))
    }

    /// Writes the header. No stream can be added afterwards.
    pub(crate) fn start(&mut self) -> Result<(), TranscodeError> {
        self.output
            .write_header_with(self.container.options())
            .map_err(|error| libav::fail("writing the header", error))?;
        self.time_bases = self.output.streams().map(|stream| stream.time_base()).collect();
        self.delays = self.output.streams().map(|stream| self.delay_of(&stream.parameters())).collect();
        Ok(())
    }

    /// In Matroska a block's time is when it is played plus the codec's delay (RFC 9559 §5.1.4.1.21), which libav's
    /// muxer leaves to its caller; without it, Opus would be heard before its video is seen.
    fn delay_of(&self, parameters: &codec::Parameters) -> Time {
        if self.container != Container::Webm || parameters.id() != codec::Id::OPUS {
            return Time::ZERO;
        }
        // RFC 7845 §5.1: pre-skip, in samples at 48 kHz.
        let pre_skip = libav::ffi::extradata(parameters).get(10..12);
        pre_skip
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(Time::ZERO, |bytes| Time::from_samples(i64::from(u16::from_le_bytes(bytes)), 48_000))
    }

    /// Writes the index and closes the file. Returns the end of the last packet. Without any packet the input couldn't be
    /// decoded, and the result is [`TranscodeError::Unreadable`].
    pub(crate) fn finish(mut self) -> Result<Time, TranscodeError> {
        if self.packets == 0 {
            return Err(TranscodeError::Unreadable {
                detail: libav::with_log("nothing in it can be decoded"),
            });
        }
        self.output.write_trailer().map_err(|error| libav::fail("finishing the output", error))?;
        Ok(self.end)
    }
}

impl PacketSink for Mux<'_> {
    fn wants_global_header(&self) -> bool {
        self.output.format().flags().contains(format::Flags::GLOBAL_HEADER)
    }

    fn add_encoded(
        &mut self,
        encoder: &codec::encoder::Encoder,
        time_base: Rational,
    ) -> Result<StreamId, TranscodeError> {
        self.add_coded(encoder.into(), time_base)
    }

    fn write(
        &mut self,
        stream: StreamId,
        mut packet: ff::Packet,
        time_base: Rational,
    ) -> Result<(), TranscodeError> {
        self.cancelled.check()?;
        let Some(to) = self.time_bases.get(stream.0) else {
            debug_assert!(false, "the stream was added before the start");
            return Ok(());
        };
        if let Some(end) = packet.pts().map(|pts| pts.saturating_add(packet.duration()))
            && let Some(end) = Time::from_ticks(end, time_base)
        {
            self.end = self.end.max(end);
        }
        let delay = self.delays.get(stream.0).copied().unwrap_or_default().to_ticks(time_base);
        packet.set_pts(packet.pts().map(|pts| pts.saturating_add(delay)));
        packet.set_dts(packet.dts().map(|dts| dts.saturating_add(delay)));
        packet.set_stream(stream.0);
        packet.set_position(-1);
        packet.rescale_ts(time_base, *to);
        self.packets += 1;
        packet.write_interleaved(&mut self.output).map_err(|error| libav::fail("writing the output", error))
    }
}
