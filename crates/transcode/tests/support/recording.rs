//! An open recording and its follower.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use testkit::signal::Codec;
use transcode::{Follow, Followed, Follower, Produced, Segment, TranscodeError, Worker};

use super::{SIZE, TestDirectory, frames, matroska::MatroskaFile};

pub const MP3: &str = r#"{"kind": "mp3"}"#;
pub const OGG: &str = r#"{"kind": "ogg_opus"}"#;
pub const WAV: &str = r#"{"kind": "wav"}"#;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_transcode-worker");
/// Lengths of writes. Some end within the header of an element.
pub const STEPS: [usize; 5] = [1, 977, 4_099, 13, 30_011];

/// A recording that is written step by step, and its follower.
pub struct TestRecording<'a> {
    pub directory: &'a TestDirectory,
    pub bytes: Vec<u8>,
    pub written: usize,
    pub file: File,
    pub follower: Follower,
    pub json: &'a str,
    pub segments: Vec<Segment>,
}

impl<'a> TestRecording<'a> {
    pub fn new(directory: &'a TestDirectory, bytes: Vec<u8>, json: &'a str, interval: f64) -> Self {
        let (input, segments) = (directory.path("live.webm"), directory.path("segments"));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&input).unwrap();
        let _ = std::fs::remove_dir_all(&segments);
        std::fs::create_dir(&segments).unwrap();
        let rendition = directory.plan(&input, json).rendition;
        let interval = Duration::from_secs_f64(interval);
        let follower = Worker::new(PROGRAM).follow(&Follow { input, segments, rendition, interval }).unwrap();
        Self { directory, bytes, written: 0, file, follower, json, segments: vec![] }
    }

    /// Writes until the file has `until` bytes.
    pub async fn write_until(&mut self, until: usize) {
        for step in STEPS.iter().cycle() {
            if self.written >= until {
                return;
            }
            let to = (self.written + step).min(until);
            self.file.write_all(&self.bytes[self.written..to]).unwrap();
            self.written = to;
            self.follower.grown(to as u64).await.unwrap();
        }
    }

    pub async fn next(&mut self) -> Result<Followed, TranscodeError> {
        let next = tokio::time::timeout(Duration::from_secs(60), self.follower.next());
        next.await.expect("a result within the time")
    }

    pub async fn next_segment(&mut self) -> Segment {
        match self.next().await.unwrap() {
            Followed::Segment(segment) => {
                assert_eq!(std::fs::metadata(&segment.path).unwrap().len(), segment.bytes);
                self.segments.push(segment.clone());
                segment
            }
            Followed::Produced(_) => panic!("the recording has not ended"),
        }
    }

    /// Writes the rest, ends the recording, and waits for the joined file.
    pub async fn finish(&mut self) -> Result<(PathBuf, Produced), TranscodeError> {
        let whole = self.bytes.len();
        self.write_until(whole).await;
        self.finish_here().await
    }

    pub async fn finish_here(&mut self) -> Result<(PathBuf, Produced), TranscodeError> {
        // The recorder renames the file when it is finished.
        std::fs::rename(self.directory.path("live.webm"), self.directory.path("finished.webm")).unwrap();
        let output = self.directory.path("joined");
        self.follower.end(self.written as u64, &output).await.unwrap();
        loop {
            match self.next().await? {
                Followed::Segment(segment) => self.segments.push(segment),
                Followed::Produced(produced) => {
                    assert_eq!(std::fs::metadata(&output).unwrap().len(), produced.bytes);
                    return Ok((output, produced));
                }
            }
        }
    }

    /// Follows the recording to its end, and compares the joined file with that of a run.
    pub async fn assert_equals_run(&mut self) -> PathBuf {
        let (joined, produced) = self.finish().await.unwrap();
        let (whole, expected) =
            self.directory.make(&self.directory.path("finished.webm"), self.json).unwrap();
        assert_same(&joined, &whole, self.json);
        assert_eq!(produced, expected);
        let mut at = Duration::ZERO;
        for (number, segment) in self.segments.iter().enumerate() {
            assert_eq!((segment.number as usize, segment.start), (number, at));
            at += segment.duration;
        }
        assert_eq!(at, produced.duration);
        joined
    }
}

pub fn follow(directory: &TestDirectory, json: &str, interval: f64) -> Follow {
    let (input, segments) = (directory.path("live.webm"), directory.path("segments"));
    let rendition = directory.plan(&input, json).rendition;
    Follow { input, segments, rendition, interval: Duration::from_secs_f64(interval) }
}

/// Follows a file to its end, and compares with a run. Returns the directory, the joined file and the number of segments.
pub async fn assert_equals_run(bytes: Vec<u8>, json: &str, interval: f64) -> (TestDirectory, PathBuf, usize) {
    let directory = TestDirectory::new();
    let mut recording = TestRecording::new(&directory, bytes, json, interval);
    let joined = recording.assert_equals_run().await;
    let count = recording.segments.len();
    drop(recording);
    (directory, joined, count)
}

pub fn assert_same(joined: &Path, whole: &Path, what: &str) {
    let (joined, whole) = (bytes_of(joined), bytes_of(whole));
    let differs = joined.iter().zip(&whole).position(|(a, b)| a != b);
    assert!(differs.is_none(), "{what}: differ at {differs:?} of {} and {}", joined.len(), whole.len());
    assert_eq!(joined.len(), whole.len(), "{what}");
}

/// The bytes of a file. In Ogg, the random serial number and the checksum that covers it (RFC 3533 §6) become zero.
pub fn bytes_of(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    let mut at = 0;
    while bytes[at..].starts_with(b"OggS") {
        bytes[at + 14..at + 18].fill(0);
        bytes[at + 22..at + 26].fill(0);
        let lacing = at + 27..at + 27 + usize::from(bytes[at + 26]);
        at = lacing.end + bytes[lacing].iter().map(|length| usize::from(*length)).sum::<usize>();
    }
    bytes
}

/// The incomplete files.
pub fn parts(directory: &TestDirectory) -> Vec<PathBuf> {
    let entries =
        [directory.dir.path(), &directory.path("segments")].map(|path| std::fs::read_dir(path).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "part")).collect()
}

/// The test signal, repeated.
pub fn long_call(turns: i64) -> MatroskaFile {
    let mut film = MatroskaFile::default();
    let (video, audio) = (film.add_video("V_VP8", SIZE, 0.0), film.add_opus());
    for turn in 0..turns {
        film.add_frames(video, &frames(Codec::Vp8, SIZE), turn * 6_000);
        film.add_frames(audio, &frames(Codec::Opus, SIZE), turn * 6_000);
    }
    film
}

pub fn opus_alone() -> MatroskaFile {
    let mut film = MatroskaFile::default();
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE), 0);
    film
}
