//! Reading a file that is still being written.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::TranscodeError;

/// How many bytes of an open file are final. One thread updates it, another waits for it.
#[derive(Default)]
pub(crate) struct FinalBytes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of final bytes, from the start of the file.
    until: u64,
    /// Set at the end of the file: the path of the rendition.
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

    /// The file is complete and has `bytes` bytes. `output` is the path of the rendition.
    pub(crate) fn end(&self, bytes: u64, output: PathBuf) {
        let mut state = self.lock();
        state.until = state.until.max(bytes);
        state.output = Some(output);
        self.changed.notify_all();
    }

    /// Waits for the end of the file. Returns the path of the rendition.
    pub(crate) fn output(&self) -> PathBuf {
        let mut state = self.lock();
        loop {
            match &state.output {
                Some(output) => return output.clone(),
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The same without waiting; `None` before the end.
    pub(crate) fn output_if_ended(&self) -> Option<PathBuf> {
        self.lock().output.clone()
    }

    /// Fails if the file could not be read.
    pub(crate) fn check(&self) -> Result<(), TranscodeError> {
        self.lock().fault.clone().map_or(Ok(()), Err)
    }

    /// Waits for final bytes behind position `at`. Returns their end; `at` itself at the end of the file.
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
        // Each update of the state is one statement, so a panic leaves it valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open file, read from start to end. A read waits for final bytes.
pub(crate) struct OpenFile {
    file: File,
    at: u64,
    final_bytes: Arc<FinalBytes>,
}

impl OpenFile {
    /// Opens the file. It may be renamed later.
    pub(crate) fn open(path: &Path) -> Result<Self, TranscodeError> {
        let file = File::open(path).map_err(|error| TranscodeError::io("opening the input", &error))?;
        Ok(Self { file, at: 0, final_bytes: Arc::default() })
    }

    pub(crate) fn final_bytes(&self) -> Arc<FinalBytes> {
        Arc::clone(&self.final_bytes)
    }

    fn read_final(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.final_bytes.behind(self.at) - self.at;
        let count = usize::try_from(there).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(buffer.get_mut(..count).unwrap_or_default(), self.at)?;
        if read == 0 && count > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file is shorter than its final bytes",
            ));
        }
        Ok(read)
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
