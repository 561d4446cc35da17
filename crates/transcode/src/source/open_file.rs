//! Reading a file that is still being written.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::TranscodeError;

/// How much of a file may be read: told by one thread, waited for by another.
#[derive(Default)]
pub(crate) struct FinalBytes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bytes from the beginning that are final.
    until: u64,
    /// The file is whole, and this is where what is made of it goes.
    output: Option<PathBuf>,
    fault: Option<TranscodeError>,
}

impl FinalBytes {
    /// The first `until` bytes are final.
    pub(crate) fn grown(&self, until: u64) {
        let mut state = self.lock();
        state.until = state.until.max(until);
        self.changed.notify_all();
    }

    /// The file is whole and has so many bytes.
    pub(crate) fn end(&self, bytes: u64, output: PathBuf) {
        let mut state = self.lock();
        state.until = state.until.max(bytes);
        state.output = Some(output);
        self.changed.notify_all();
    }

    /// Waits for the end, and tells where the result goes.
    pub(crate) fn output(&self) -> PathBuf {
        let mut state = self.lock();
        loop {
            match &state.output {
                Some(output) => return output.clone(),
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The same without waiting.
    pub(crate) fn output_if_ended(&self) -> Option<PathBuf> {
        self.lock().output.clone()
    }

    /// Whether the file could be read so far.
    pub(crate) fn check(&self) -> Result<(), TranscodeError> {
        self.lock().fault.clone().map_or(Ok(()), Err)
    }

    /// Waits until there is something behind `at`, and tells up to where; `at` itself if nothing more comes.
    fn behind(&self, at: u64) -> u64 {
        let mut state = self.lock();
        while state.until <= at && state.output.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.until.max(at)
    }

    fn fail(&self, error: &io::Error) {
        self.lock().fault.get_or_insert_with(|| TranscodeError::io("reading the input", error));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file from its beginning to its end. Where what is there isn't final yet, reading waits.
pub(crate) struct OpenFile {
    file: File,
    at: u64,
    final_bytes: Arc<FinalBytes>,
}

impl OpenFile {
    /// Keeps the file open, whatever it is called later.
    pub(crate) fn open(path: &Path) -> Result<Self, TranscodeError> {
        let file = File::open(path).map_err(|error| TranscodeError::io("opening the input", &error))?;
        Ok(Self { file, at: 0, final_bytes: Arc::default() })
    }

    pub(crate) fn final_bytes(&self) -> Arc<FinalBytes> {
        Arc::clone(&self.final_bytes)
    }

    fn read_final(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.final_bytes.behind(self.at) - self.at;
        let wanted = usize::try_from(there).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), self.at)?;
        if count == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "shorter than it was said to be"));
        }
        Ok(count)
    }
}

impl Read for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read_final(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.final_bytes.fail(error);
            }
        })?;
        self.at += count as u64;
        Ok(count)
    }
}
