//! A recording that grows, and who follows it.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use testkit::signal::Codec;
use transcode::{Follow, Followed, Follower, Produced, Segment, TranscodeError, Worker};

use super::{Bench, SIZE, frames, matroska::Film};

pub const MP3: &str = r#"{"kind": "mp3"}"#;
pub const OGG: &str = r#"{"kind": "ogg_opus"}"#;
pub const WAV: &str = r#"{"kind": "wav"}"#;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_transcode-worker");
/// Odd lengths, some within an element's head.
pub const STEPS: [usize; 5] = [1, 977, 4_099, 13, 30_011];

/// A recorder that writes, and who follows it.
pub struct Recording<'a> {
    pub bench: &'a Bench,
    pub bytes: Vec<u8>,
    pub written: usize,
    pub file: File,
    pub follower: Follower,
    pub json: &'a str,
    pub segments: Vec<Segment>,
}

impl<'a> Recording<'a> {
    pub fn new(bench: &'a Bench, bytes: Vec<u8>, json: &'a str, interval: f64) -> Self {
        let (input, segments) = (bench.path("live.webm"), bench.path("segments"));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&input).unwrap();
        let _ = std::fs::remove_dir_all(&segments);
        std::fs::create_dir(&segments).unwrap();
        let rendition = bench.plan(&input, json).rendition;
        let interval = Duration::from_secs_f64(interval);
        let follower = Worker::new(PROGRAM).follow(&Follow { input, segments, rendition, interval }).unwrap();
        Self { bench, bytes, written: 0, file, follower, json, segments: vec![] }
    }

    /// Writes on until so many bytes are there.
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
        next.await.expect("something comes")
    }

    pub async fn next_segment(&mut self) -> Segment {
        match self.next().await.unwrap() {
            Followed::Segment(segment) => {
                assert_eq!(std::fs::metadata(&segment.path).unwrap().len(), segment.bytes);
                self.segments.push(segment.clone());
                segment
            }
            Followed::Produced(_) => panic!("the end was not asked for"),
        }
    }

    /// Writes the rest, seals the file, and waits for the whole.
    pub async fn seal(&mut self) -> Result<(PathBuf, Produced), TranscodeError> {
        let whole = self.bytes.len();
        self.write_until(whole).await;
        self.seal_here().await
    }

    pub async fn seal_here(&mut self) -> Result<(PathBuf, Produced), TranscodeError> {
        // A recorder gives it another name, and patches its header.
        std::fs::rename(self.bench.path("live.webm"), self.bench.path("sealed.webm")).unwrap();
        let output = self.bench.path("joined");
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

    /// Follows all of it to its end, and compares with what is made of the whole at once.
    pub async fn assert_equals_whole(&mut self) -> PathBuf {
        let (joined, produced) = self.seal().await.unwrap();
        let (whole, expected) = self.bench.make(&self.bench.path("sealed.webm"), self.json).unwrap();
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

pub fn order(bench: &Bench, json: &str, interval: f64) -> Follow {
    let (input, segments) = (bench.path("live.webm"), bench.path("segments"));
    let rendition = bench.plan(&input, json).rendition;
    Follow { input, segments, rendition, interval: Duration::from_secs_f64(interval) }
}

/// Follows a file to its end; the file that it was, what was made of it, and the number of segments.
pub async fn assert_equals_whole(bytes: Vec<u8>, json: &str, interval: f64) -> (Bench, PathBuf, usize) {
    let bench = Bench::new();
    let mut recording = Recording::new(&bench, bytes, json, interval);
    let joined = recording.assert_equals_whole().await;
    let count = recording.segments.len();
    drop(recording);
    (bench, joined, count)
}

pub fn assert_same(joined: &Path, whole: &Path, what: &str) {
    let (joined, whole) = (bytes_of(joined), bytes_of(whole));
    let differs = joined.iter().zip(&whole).position(|(a, b)| a != b);
    assert!(differs.is_none(), "{what}: differ at {differs:?} of {} and {}", joined.len(), whole.len());
    assert_eq!(joined.len(), whole.len(), "{what}");
}

/// Without what is drawn by lot for each Ogg stream: its serial number, and the checksum that covers it (RFC 3533 §6).
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

/// What is half-written.
pub fn parts(bench: &Bench) -> Vec<PathBuf> {
    let entries = [bench.dir.path(), &bench.path("segments")].map(|path| std::fs::read_dir(path).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "part")).collect()
}

/// The signal over and over.
pub fn long_call(turns: i64) -> Film {
    let mut film = Film::default();
    let (video, audio) = (film.add_video("V_VP8", SIZE, 0.0), film.add_opus());
    for turn in 0..turns {
        film.play(video, &frames(Codec::Vp8, SIZE), turn * 6_000);
        film.play(audio, &frames(Codec::Opus, SIZE), turn * 6_000);
    }
    film
}

pub fn opus_alone() -> Film {
    let mut film = Film::default();
    let audio = film.add_opus();
    film.play(audio, &frames(Codec::Opus, SIZE), 0);
    film
}
