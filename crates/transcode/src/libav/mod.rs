//! Initialises libav, and converts its errors.

pub(crate) mod ffi;
pub(crate) mod log;

use ffmpeg_next as ff;

use crate::TranscodeError;

/// Initialises libav. It may be called again and from several threads.
pub(crate) fn init() -> Result<(), TranscodeError> {
    ff::init().map_err(|error| fail("starting libav", error))?;
    log::capture();
    Ok(())
}

/// The number of threads of a codec; 0 lets the codec choose. It is limited on large machines, because each thread needs
/// memory and the video of a call gains nothing from more.
pub(crate) fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cores <= 8 { 0 } else { 12 }
}

/// The error of an operation of libav, with its last messages.
pub(crate) fn fail(doing: &str, error: ff::Error) -> TranscodeError {
    let doing = doing.to_owned();
    match error {
        ff::Error::Other { errno: ff::error::ENOSPC } => TranscodeError::DiskFull { doing },
        // EAGAIN: no memory for the stack of a thread. Codecs' own EAGAIN is handled where it occurs.
        ff::Error::Other { errno: ff::error::ENOMEM | ff::error::EAGAIN } => {
            TranscodeError::OutOfMemory { doing }
        }
        ff::Error::Other {
            errno:
                ff::error::EIO
                | ff::error::ENOENT
                | ff::error::EACCES
                | ff::error::EPERM
                | ff::error::EROFS
                | ff::error::EISDIR
                | ff::error::ENOTDIR
                | ff::error::EMFILE
                | ff::error::ENFILE
                | ff::error::EFBIG,
        } => TranscodeError::Io { doing, detail: error.to_string() },
        _ => TranscodeError::Libav { doing, detail: with_log(error) },
    }
}

/// The error of reading the input: unreadable, unless the machine is at fault.
pub(crate) fn unreadable(doing: &str, error: ff::Error) -> TranscodeError {
    match fail(doing, error) {
        TranscodeError::Libav { detail, .. } => TranscodeError::Unreadable { detail },
        machine => machine,
    }
}

/// `what`, with the last messages of libav.
pub(crate) fn with_log(what: impl std::fmt::Display) -> String {
    let log = log::last_lines();
    if log.is_empty() { what.to_string() } else { format!("{what} ({log})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_that_gets_no_thread_is_not_the_fault_of_the_input() {
        for errno in [ff::error::EAGAIN, ff::error::ENOMEM] {
            let error = unreadable("opening the video decoder", ff::Error::Other { errno });
            assert!(
                matches!(error, TranscodeError::OutOfMemory { .. }) && !error.is_permanent(),
                "{error:?}"
            );
        }
        let error = unreadable("opening the video decoder", ff::Error::InvalidData);
        assert!(matches!(error, TranscodeError::Unreadable { .. }), "{error:?}");
    }
}
