//! Calls of libav for which its Rust binding has no safe function. All unsafe code of this crate is here.
#![allow(unsafe_code)]
#![warn(clippy::undocumented_unsafe_blocks)]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    sync::OnceLock,
};

use ffmpeg_next::{self as ff, ffi as av};

/// The longest message of libav's log, in bytes. Longer ones are truncated.
const LINE: usize = 512;

#[cfg(target_arch = "x86_64")]
type VaList = *mut av::__va_list_tag;
#[cfg(not(target_arch = "x86_64"))]
type VaList = av::va_list;

static LOG: OnceLock<fn(&str)> = OnceLock::new();

/// Sends libav's warnings and errors to `sink` until the process ends. Only the first call has an effect.
pub(crate) fn log_to(sink: fn(&str)) {
    let _ = LOG.set(sink);
    // SAFETY: `on_log` has the signature that libav calls, is callable from any thread, and lives for ever.
    unsafe { av::av_log_set_callback(Some(on_log)) }
}

/// libav's callback for a message.
///
/// # Safety
/// `format` and `arguments` belong together as in `vprintf`, and `class` is null or an object with an `AVClass`.
unsafe extern "C" fn on_log(class: *mut c_void, level: c_int, format: *const c_char, arguments: VaList) {
    if level > av::AV_LOG_WARNING {
        return;
    }
    let mut line = [0 as c_char; LINE];
    let mut prefix: c_int = 1;
    // SAFETY: the arguments are those of the callback, unchanged; libav writes at most `LINE` bytes including the final zero.
    let text = unsafe {
        av::av_log_format_line2(
            class,
            level,
            format,
            arguments,
            line.as_mut_ptr(),
            LINE as c_int,
            &raw mut prefix,
        );
        CStr::from_ptr(line.as_ptr())
    };
    if let Some(sink) = LOG.get() {
        sink(&text.to_string_lossy());
    }
}

/// Makes the demuxer skip the packets of a stream.
pub(crate) fn discard(input: &mut ff::format::context::Input, stream: usize) {
    let Some(stream) = input.stream_mut(stream) else { return };
    let mut stream = stream;
    // SAFETY: the pointer is that of a stream of `input`, which is borrowed here; libav reads the field at each packet.
    unsafe { (*stream.as_mut_ptr()).discard = av::AVDiscard::AVDISCARD_ALL };
}

/// Makes the resampler stretch the next `distance` output samples by `delta` samples.
pub(crate) fn compensate(
    resampler: &mut ff::software::resampling::Context,
    delta: i32,
    distance: i32,
) -> Result<(), ff::Error> {
    // SAFETY: the pointer is that of a live, initialised context, which is borrowed here.
    match unsafe { av::swr_set_compensation(resampler.as_mut_ptr(), delta, distance) } {
        code if code < 0 => Err(code.into()),
        _ => Ok(()),
    }
}

/// Sets the duration of a frame in ticks of the time base. libvpx plans its bit rate by it.
pub(crate) fn set_ticks_per_frame(encoder: &mut ff::codec::Context, ticks: i32) {
    // SAFETY: the pointer is that of a live context, which is borrowed here; the field is a plain integer.
    unsafe { (*encoder.as_mut_ptr()).ticks_per_frame = ticks };
}

/// Copies the codec parameters of an input stream to a stream of the output, without the tag of the input's container.
pub(crate) fn copy_parameters(
    stream: &mut ff::format::stream::StreamMut<'_>,
    parameters: ff::codec::Parameters,
) {
    stream.set_parameters(parameters);
    // SAFETY: `set_parameters` has just filled the stream's parameters, which live as long as it does.
    unsafe { (*(*stream.as_mut_ptr()).codecpar).codec_tag = 0 };
}

/// Sets the display matrix (nine numbers, ISO/IEC 14496-12 §6.2.2) of a stream of the output.
pub(crate) fn set_display_matrix(
    stream: &mut ff::format::stream::StreamMut<'_>,
    matrix: [i32; 9],
) -> Result<(), ff::Error> {
    // SAFETY: the pointer is that of a live stream, which is borrowed here. libav allocates `size` bytes, which the stream
    // owns, or returns null; the source has `size` bytes too.
    unsafe {
        let kind = av::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
        let size = size_of_val(&matrix);
        let data = av::av_stream_new_side_data(stream.as_mut_ptr(), kind, size);
        if data.is_null() {
            return Err(ff::Error::Other { errno: ff::error::ENOMEM });
        }
        std::ptr::copy_nonoverlapping(matrix.as_ptr().cast::<u8>(), data, size);
    }
    Ok(())
}

/// Samples a second that the container declares; 0 if it doesn't.
pub(crate) fn sample_rate(parameters: &ff::codec::Parameters) -> u32 {
    // SAFETY: the pointer is that of live parameters, which are borrowed here; the field is a plain integer.
    u32::try_from(unsafe { (*parameters.as_ptr()).sample_rate }).unwrap_or(0)
}

/// The duration in the container's header, in microseconds; `None` if it has none.
pub(crate) fn declared_duration(input: &ff::format::context::Input) -> Option<i64> {
    // SAFETY: the pointer is that of a live context, which is borrowed here; both fields are plain numbers.
    let (duration, method) = unsafe {
        let context = &*input.as_ptr();
        (context.duration, context.duration_estimation_method)
    };
    let declared = method == av::AVDurationEstimationMethod::AVFMT_DURATION_FROM_STREAM;
    (declared && duration > 0).then_some(duration)
}

/// Reads the headers of coded frames without decoding them.
pub(crate) struct Parser {
    parser: *mut av::AVCodecParserContext,
    context: ff::codec::Context,
}

impl Parser {
    /// `None` if libav has no parser for the codec.
    pub(crate) fn open(parameters: &ff::codec::Parameters) -> Option<Self> {
        let context = ff::codec::Context::from_parameters(parameters.clone()).ok()?;
        // SAFETY: any number is taken as a codec's; null is returned for one without a parser.
        let parser = unsafe { av::av_parser_init(av::AVCodecID::from(parameters.id()) as c_int) };
        if parser.is_null() {
            return None;
        }
        // SAFETY: the parser was just made; the field is a plain integer.
        unsafe { (*parser).flags |= av::PARSER_FLAG_COMPLETE_FRAMES };
        Some(Self { parser, context })
    }

    /// Width and height of the frame in `packet`, by the headers up to it. The packet holds one whole frame.
    pub(crate) fn size(&mut self, packet: &ff::Packet) -> Option<(u32, u32)> {
        let data = packet.data()?;
        let length = c_int::try_from(data.len()).ok()?;
        let (mut frame, mut frame_length) = (std::ptr::null_mut(), 0);
        // SAFETY: parser and context are live and of one codec; the data is a packet's of the demuxer, which has the
        // padding behind it that parsers may read; `frame` becomes a pointer into it and isn't used.
        let (width, height) = unsafe {
            (*self.parser).width = 0;
            (*self.parser).height = 0;
            av::av_parser_parse2(
                self.parser,
                self.context.as_mut_ptr(),
                &raw mut frame,
                &raw mut frame_length,
                data.as_ptr(),
                length,
                av::AV_NOPTS_VALUE,
                av::AV_NOPTS_VALUE,
                -1,
            );
            ((*self.parser).width, (*self.parser).height)
        };
        Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?))
            .filter(|size| size.0 > 0 && size.1 > 0)
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // SAFETY: the parser is live, ours, and not used again.
        unsafe { av::av_parser_close(self.parser) }
    }
}

/// Sets the colour matrices of the input and the output of a scaler between two YUV formats. The ranges don't change. A
/// scaler that doesn't support it doesn't change.
pub(crate) fn set_matrices(
    scaler: &mut ff::software::scaling::Context,
    from: ff::color::Space,
    to: ff::color::Space,
) {
    let number = |space: ff::color::Space| av::AVColorSpace::from(space) as c_int;
    let (mut old_from, mut old_to) = (std::ptr::null_mut(), std::ptr::null_mut());
    let (mut from_range, mut to_range) = (0, 0);
    let (mut brightness, mut contrast, mut saturation) = (0, 0, 0);
    // SAFETY: the pointer is that of a live scaler, which is borrowed here; the tables of coefficients are static.
    unsafe {
        let scaler = scaler.as_mut_ptr();
        let known = av::sws_getColorspaceDetails(
            scaler,
            &raw mut old_from,
            &raw mut from_range,
            &raw mut old_to,
            &raw mut to_range,
            &raw mut brightness,
            &raw mut contrast,
            &raw mut saturation,
        );
        if known >= 0 {
            let (from, to) = (av::sws_getCoefficients(number(from)), av::sws_getCoefficients(number(to)));
            av::sws_setColorspaceDetails(
                scaler, from, from_range, to, to_range, brightness, contrast, saturation,
            );
        }
    }
}

/// Matrix, primaries and transfer characteristic by their numbers (ISO/IEC 23091-2 §8), as the stream has them.
pub(crate) fn colour_numbers(picture: &ff::frame::Video) -> [c_int; 3] {
    // SAFETY: the pointer is that of a live frame, which is borrowed here. The enumerations are read as
    // integers, because a Rust enumeration must not hold an unknown number.
    unsafe {
        let picture = picture.as_ptr();
        let (space, primaries) = (&raw const (*picture).colorspace, &raw const (*picture).color_primaries);
        let transfer = &raw const (*picture).color_trc;
        [space.cast::<c_int>().read(), primaries.cast::<c_int>().read(), transfer.cast::<c_int>().read()]
    }
}

/// The codec's headers in the container, which a decoder gets before the first packet.
pub(crate) fn extradata(parameters: &ff::codec::Parameters) -> &[u8] {
    // SAFETY: the pointer is that of live parameters, which own `extradata_size` bytes at `extradata` as long as they
    // live; nothing can change them while they are borrowed.
    unsafe {
        let parameters = &*parameters.as_ptr();
        match usize::try_from(parameters.extradata_size) {
            Ok(size) if !parameters.extradata.is_null() => {
                std::slice::from_raw_parts(parameters.extradata, size)
            }
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Colour;

    #[test]
    fn unknown_colours_become_unspecified() {
        let mut picture = ff::frame::Video::new(ff::format::Pixel::YUV420P, 16, 16);
        let mut set = |space: c_int, primaries: c_int, transfer: c_int| {
            // SAFETY: the frame is live and ours; the fields are integers in C.
            unsafe {
                let frame = picture.as_mut_ptr();
                (&raw mut (*frame).colorspace).cast::<c_int>().write(space);
                (&raw mut (*frame).color_primaries).cast::<c_int>().write(primaries);
                (&raw mut (*frame).color_trc).cast::<c_int>().write(transfer);
            }
            Colour::of(&picture)
        };
        for number in [0, 2, 3, 15, 200, -1] {
            assert_eq!(
                set(number, if number == 15 { 13 } else { number }, 200),
                Colour::default(),
                "{number}"
            );
        }
        assert_eq!(set(1, 1, 1).space, ff::color::Space::BT709);
    }
}
