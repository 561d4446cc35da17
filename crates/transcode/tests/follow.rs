//! Following a recording while it grows: segments as it comes, and the whole right after the end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::{
    Bench, SECONDS, SIZE, call, call_of_two, eventually, frames, matroska::Film, script, sound, workers_on,
};
use testkit::signal::Codec;
use transcode::{Follow, Followed, Follower, Limits, Produced, Segment, TranscodeError, Worker};

const PROGRAM: &str = env!("CARGO_BIN_EXE_transcode-worker");
/// Odd lengths, some within an element's head.
const STEPS: [usize; 5] = [1, 977, 4_099, 13, 30_011];

/// A recorder that writes, and who follows it.
struct Recording<'a> {
    bench: &'a Bench,
    bytes: Vec<u8>,
    written: usize,
    file: File,
    follower: Follower,
    json: &'a str,
    segments: Vec<Segment>,
}

impl<'a> Recording<'a> {
    fn new(bench: &'a Bench, bytes: Vec<u8>, json: &'a str, interval: f64) -> Self {
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
    async fn write_until(&mut self, until: usize) {
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

    async fn next(&mut self) -> Result<Followed, TranscodeError> {
        let next = tokio::time::timeout(Duration::from_secs(60), self.follower.next());
        next.await.expect("something comes")
    }

    async fn next_segment(&mut self) -> Segment {
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
    async fn seal(&mut self) -> Result<(PathBuf, Produced), TranscodeError> {
        let whole = self.bytes.len();
        self.write_until(whole).await;
        self.seal_here().await
    }

    async fn seal_here(&mut self) -> Result<(PathBuf, Produced), TranscodeError> {
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
    async fn assert_equals_whole(&mut self) -> PathBuf {
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

fn order(bench: &Bench, json: &str, interval: f64) -> Follow {
    let (input, segments) = (bench.path("live.webm"), bench.path("segments"));
    let rendition = bench.plan(&input, json).rendition;
    Follow { input, segments, rendition, interval: Duration::from_secs_f64(interval) }
}

/// Follows a file to its end; the file that it was, what was made of it, and the number of segments.
async fn assert_equals_whole(bytes: Vec<u8>, json: &str, interval: f64) -> (Bench, PathBuf, usize) {
    let bench = Bench::new();
    let mut recording = Recording::new(&bench, bytes, json, interval);
    let joined = recording.assert_equals_whole().await;
    let count = recording.segments.len();
    drop(recording);
    (bench, joined, count)
}

fn assert_same(joined: &Path, whole: &Path, what: &str) {
    let (joined, whole) = (bytes_of(joined), bytes_of(whole));
    let differs = joined.iter().zip(&whole).position(|(a, b)| a != b);
    assert!(differs.is_none(), "{what}: differ at {differs:?} of {} and {}", joined.len(), whole.len());
    assert_eq!(joined.len(), whole.len(), "{what}");
}

/// Without what is drawn by lot for each Ogg stream: its serial number, and the checksum that covers it (RFC 3533 §6).
fn bytes_of(path: &Path) -> Vec<u8> {
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
fn parts(bench: &Bench) -> Vec<PathBuf> {
    let entries = [bench.dir.path(), &bench.path("segments")].map(|path| std::fs::read_dir(path).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "part")).collect()
}

/// The signal over and over.
fn long_call(turns: i64) -> Film {
    let mut film = Film::default();
    let (video, audio) = (film.add_video("V_VP8", SIZE, 0.0), film.add_opus());
    for turn in 0..turns {
        film.play(video, &frames(Codec::Vp8, SIZE), turn * 6_000);
        film.play(audio, &frames(Codec::Opus, SIZE), turn * 6_000);
    }
    film
}

#[tokio::test]
async fn segments_come_while_the_file_grows_and_join_to_what_the_whole_gives() {
    let film = long_call(4);
    for json in [
        r#"{"kind": "mp3"}"#,
        r#"{"kind": "wav"}"#,
        r#"{"kind": "wav", "sample_rate": 16000, "channels": 2}"#,
        r#"{"kind": "mix"}"#,
        r#"{"kind": "mix", "format": "wav", "channels": 2}"#,
        r#"{"kind": "ogg_opus", "audio": {"bit_rate": 32000}}"#,
    ] {
        let bench = Bench::new();
        let bytes = film.bytes();
        let most = bytes.len() * 3 / 4;
        let mut recording = Recording::new(&bench, bytes, json, 5.0);
        recording.write_until(most).await;
        for number in 0..2 {
            assert_eq!(recording.next_segment().await.number, number, "{json}");
        }
        recording.assert_equals_whole().await;
        assert_eq!(recording.segments.len(), 5, "{json}");
        assert_eq!(parts(&bench), Vec::<PathBuf>::new());
    }
}

fn opus_alone() -> Film {
    let mut film = Film::default();
    let audio = film.add_opus();
    film.play(audio, &frames(Codec::Opus, SIZE), 0);
    film
}

const MP3: &str = r#"{"kind": "mp3"}"#;
const OGG: &str = r#"{"kind": "ogg_opus"}"#;
const WAV: &str = r#"{"kind": "wav"}"#;

#[tokio::test]
async fn a_track_that_begins_late_is_mixed_as_in_the_whole() {
    for json in [MP3, OGG, WAV] {
        let (_bench, joined, count) = assert_equals_whole(call_of_two(3_300).bytes(), json, 2.0).await;
        assert_eq!(count, 5, "{json}");
        let beeps = sound(&joined).beeps();
        assert!((beeps[beeps.len() - 1] - 8.3).abs() < 0.025, "{json}: {beeps:?}");
    }
}

#[tokio::test]
async fn holes_are_silence_as_in_the_whole() {
    let mut film = call_of_two(100);
    // A lost packet here and there, silence suppression of one track, and a long pause of both.
    film.blocks.retain(|block| block.0 % 700 != 0 || block.0 == 0);
    film.blocks.retain(|block| block.1 != 2 || !(1_200..1_700).contains(&block.0));
    for block in &mut film.blocks {
        block.0 += if block.0 >= 3_000 { 30_000 } else { 0 };
    }
    for json in [MP3, OGG, WAV] {
        assert_eq!(assert_equals_whole(film.bytes(), json, 7.0).await.2, 6, "{json}");
    }
}

#[tokio::test]
async fn tracks_that_never_get_a_packet_dont_hold_the_others_up() {
    let bench = Bench::new();
    let mut film = opus_alone();
    film.add_opus();
    film.add_video("V_VP8", SIZE, 0.0);
    let blocks = film.blocks.clone();
    for turn in 1..4 {
        film.blocks.extend(blocks.iter().cloned().map(|mut block| {
            block.0 += turn * 6_000;
            block
        }));
    }
    let bytes = film.bytes();
    let most = bytes.len() * 3 / 4;
    let mut recording = Recording::new(&bench, bytes, WAV, 1.0);
    recording.write_until(most).await;
    for _ in 0..10 {
        recording.next_segment().await;
    }
    recording.assert_equals_whole().await;
    assert_eq!(recording.segments.len(), 24);
}

/// A file as ffmpeg writes it, cues and all.
fn by_ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let bench = Bench::new();
    let path = bench.path("source.mka");
    support::ffmpeg(&[arguments, &[path.to_str().unwrap()]].concat());
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn mono_and_stereo_telephony_and_pcm_are_mixed_as_in_the_whole() {
    let tone = |hertz: u32, rate: u32| format!("sine={hertz}:r={rate}:d=9");
    let (a, b, c, d, e) =
        (tone(440, 48_000), tone(550, 8_000), tone(660, 8_000), tone(770, 16_000), tone(880, 16_000));
    let inputs = [&a, &b, &c, &d, &e].map(|source| ["-f", "lavfi", "-i", source]).concat();
    let maps = ["0", "1", "2", "3", "4"].map(|input| ["-map", input]).concat();
    let codecs = ["libopus", "pcm_mulaw", "pcm_alaw", "pcm_s16le", "g722"];
    let kinds = ["-c:a:0", "-c:a:1", "-c:a:2", "-c:a:3", "-c:a:4"];
    let coding: Vec<&str> = kinds.into_iter().zip(codecs).flat_map(|(kind, codec)| [kind, codec]).collect();
    let bytes = by_ffmpeg(&[&inputs[..], &maps, &coding, &["-ac:a:0", "2"]].concat());
    for json in [MP3, OGG, WAV] {
        let (_bench, joined, count) = assert_equals_whole(bytes.clone(), json, 2.5).await;
        assert_eq!(count, 4, "{json}");
        assert_eq!(support::ffprobe(&joined, &["-show_entries", "stream=channels"]), "2", "{json}");
    }
}

#[tokio::test]
async fn pushed_pcm_keeps_its_rate_as_in_the_whole() {
    let bytes = by_ffmpeg(&["-f", "lavfi", "-i", "anoisesrc=r=16000:d=5", "-c:a", "pcm_s16le"]);
    let (_bench, joined, count) = assert_equals_whole(bytes, WAV, 1.0).await;
    assert_eq!(
        (count, support::ffprobe(&joined, &["-show_entries", "stream=sample_rate"])),
        (5, "16000".to_owned())
    );
}

/// The second difference of samples.
fn steps(samples: &[i16]) -> Vec<f64> {
    samples
        .windows(3)
        .map(|near| f64::from(near[0]) - 2.0 * f64::from(near[1]) + f64::from(near[2]))
        .collect()
}

#[tokio::test]
async fn a_sine_goes_through_the_joins_without_gap_or_click() {
    for (hertz, interval) in [(440.0, 1.0), (997.0, 1.37)] {
        let source = format!("sine={hertz}:r=48000:d=12,volume=4");
        let bytes = by_ffmpeg(&["-f", "lavfi", "-i", &source, "-c:a", "libopus", "-b:a", "96k"]);
        for json in [MP3, WAV, r#"{"kind": "ogg_opus", "audio": {"bit_rate": 96000}}"#] {
            let bench = Bench::new();
            let mut recording = Recording::new(&bench, bytes.clone(), json, interval);
            let joined = recording.assert_equals_whole().await;
            let whole = sound(&bench.path("sealed.webm")).samples;
            let samples = sound(&joined).samples;
            let missing = whole.len().abs_diff(samples.len());
            // What an encoder of MP3 puts before and behind isn't told apart by every decoder.
            assert!(
                missing < if json == MP3 { 1_152 } else { 48 },
                "{json}: {} samples of {}",
                samples.len(),
                whole.len()
            );
            // The second difference of a sine is itself, scaled: a click or a step in phase stands out of it.
            let sharp = steps(&samples);
            let worst = |from: f64, to: f64| {
                let at = |time: f64| ((time * 48_000.0) as usize).min(sharp.len());
                sharp[at(from)..at(to)].iter().fold(0.0, |most: f64, step| most.max(step.abs()))
            };
            let joins: Vec<f64> =
                recording.segments.iter().skip(1).map(|segment| segment.start.as_secs_f64()).collect();
            assert!(joins.len() >= 8, "{joins:?}");
            let within = joins.iter().map(|join| worst(join + 0.3, join + 0.6)).fold(0.0, f64::max);
            for join in joins {
                let across = worst(join - 0.06, (join + 0.06).min(11.9));
                assert!(across <= within * 1.05, "{json} at {join}: {across} against {within}");
            }
            assert_eq!(recording.segments[0].start, Duration::ZERO);
        }
    }
}

#[tokio::test]
async fn what_is_shorter_than_a_segment_is_one() {
    let mut film = opus_alone();
    film.blocks.truncate(20);
    for json in [MP3, WAV] {
        assert_eq!(assert_equals_whole(film.bytes(), json, 10.0).await.2, 1, "{json}");
    }
    film.blocks.truncate(1);
    for json in [MP3, WAV] {
        assert_eq!(assert_equals_whole(film.bytes(), json, 10.0).await.2, 1, "{json}");
    }
}

#[tokio::test]
async fn an_end_at_a_boundary_makes_no_empty_segment() {
    // PCM is written 4,096 samples at a time; twelve of these are a segment, and 36 the recording.
    let tone = ["-f", "lavfi", "-i", "sine=440:r=48000:d=3.072", "-c:a", "pcm_s16le"];
    let (_bench, joined, count) = assert_equals_whole(by_ffmpeg(&tone), WAV, 1.024).await;
    assert_eq!((count, sound(&joined).samples.len()), (3, 36 * 4_096));
    let (_bench, _, count) = assert_equals_whole(opus_alone().bytes(), WAV, f64::from(SECONDS)).await;
    assert_eq!(count, 1);
}

#[tokio::test]
async fn damage_in_the_middle_costs_no_more_than_that() {
    let bench = Bench::new();
    let mut bytes = long_call(4).bytes();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0x55);
    let mut recording = Recording::new(&bench, bytes, MP3, 5.0);
    let (joined, produced) = recording.seal().await.unwrap();
    assert!((produced.duration.as_secs_f64() - 24.0).abs() < 0.1, "{produced:?}");
    assert_eq!(recording.segments.len(), 5);
    assert!(sound(&joined).beeps().len() >= 21, "{:?}", sound(&joined).beeps());
}

#[tokio::test]
async fn a_timestamp_far_off_makes_no_hours_of_silence() {
    let mut film = opus_alone();
    let strays = film.blocks.iter_mut().filter(|block| (3_000..4_000).contains(&block.0));
    strays.for_each(|block| block.0 += 90 * 3_600_000);
    film.in_this_order = true;
    assert_equals_whole(film.bytes(), WAV, 2.0).await;
}

#[tokio::test]
async fn a_packet_too_late_for_its_segment_ends_the_following() {
    let bench = Bench::new();
    let mut film = call_of_two(0);
    // The second speaker comes four seconds behind the first in the file.
    film.blocks.sort_by_key(|block| block.0 + if block.1 == 4 { 4_000 } else { 0 });
    film.in_this_order = true;
    let mut recording = Recording::new(&bench, film.bytes(), MP3, 1.0);
    let error = recording.seal().await.unwrap_err();
    assert!(matches!(error, TranscodeError::CantFollow { .. }) && error.is_permanent(), "{error}");
}

#[tokio::test]
async fn who_listens_in_passing_misses_nothing() {
    let bench = Bench::new();
    let mut recording = Recording::new(&bench, long_call(2).bytes(), MP3, 1.0);
    let whole = recording.bytes.len();
    recording.file.write_all(&recording.bytes).unwrap();
    let (mut told, mut heard) = (0, vec![]);
    let produced = loop {
        let follower = &mut recording.follower;
        told = (told + 30_000).min(whole);
        // Futures that are dropped before they are done, most of them at once.
        let patience = Duration::from_micros(heard.len() as u64 * 300);
        let _ = tokio::time::timeout(patience, follower.grown(told as u64)).await;
        if told == whole {
            let _ = tokio::time::timeout(patience, follower.end(told as u64, &bench.path("joined"))).await;
        }
        match tokio::time::timeout(patience, follower.next()).await {
            Ok(Ok(Followed::Segment(segment))) => heard.push(segment.number),
            Ok(Ok(Followed::Produced(produced))) => break produced,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(heard, (0..12).collect::<Vec<u32>>());
    assert!((produced.duration.as_secs_f64() - 12.0).abs() < 0.05, "{produced:?}");
}

#[tokio::test]
async fn dropping_the_follower_kills_the_child_within_200_ms_and_leaves_nothing_half_written() {
    let bench = Bench::new();
    let bytes = long_call(2).bytes();
    let half = bytes.len() / 2;
    let mut recording = Recording::new(&bench, bytes, MP3, 1.0);
    recording.write_until(half).await;
    recording.next_segment().await;
    eventually("the next is being written", || !parts(&bench).is_empty()).await;
    let input = bench.path("live.webm");
    assert!(workers_on(&input) > 0);
    let dropped = Instant::now();
    drop(recording);
    // A child of another test that is being born has the same files for a moment.
    eventually("it is gone", || workers_on(&input) == 0).await;
    assert!(dropped.elapsed() < Duration::from_millis(200), "{:?}", dropped.elapsed());
    assert_eq!(parts(&bench), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_child_doesnt_outlive_its_server() {
    let bench = Bench::new();
    let input = bench.path("live.webm");
    let bytes = long_call(1).bytes();
    std::fs::write(&input, &bytes).unwrap();
    std::fs::create_dir(bench.path("segments")).unwrap();
    let mut child = Command::new(PROGRAM).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let task = serde_json::json!({"follow": order(&bench, MP3, 1.0), "limits": Limits::default()});
    let mut server_end = child.stdin.take().unwrap();
    writeln!(server_end, "{task}\n{{\"until\":{}}}", bytes.len() / 2).unwrap();
    eventually("it writes", || !parts(&bench).is_empty()).await;
    // As when the server is killed: the system closes what it had open.
    drop(server_end);
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert_eq!(parts(&bench), Vec::<PathBuf>::new());
}

/// A follower whose child is a shell script.
fn follow_script(bench: &Bench, text: &str, limits: Limits) -> Follower {
    std::fs::write(bench.path("live.webm"), [0]).unwrap();
    let worker = Worker { program: script(bench, text), limits };
    worker.follow(&order(bench, MP3, 1.0)).unwrap()
}

#[tokio::test]
async fn a_child_that_is_killed_or_talks_nonsense_is_an_error() {
    let bench = Bench::new();
    for (text, killed) in [
        ("echo ouch >&2; kill -KILL $$", true),
        ("read task; read word; echo ouch >&2; kill -KILL $$", true),
        ("echo hello; sleep 100", false),
        ("exit 3", false),
    ] {
        let mut follower = follow_script(&bench, text, Limits::default());
        let _ = follower.grown(1).await;
        let error = follower.next().await.unwrap_err();
        if killed {
            assert_eq!(error, TranscodeError::Killed { signal: 9, detail: "ouch".to_owned() }, "{text}");
        } else {
            assert!(matches!(error, TranscodeError::Worker { .. }), "{text}: {error:?}");
        }
        assert!(matches!(follower.next().await, Err(TranscodeError::Worker { .. })));
        assert!(follower.grown(2).await.is_err());
    }
}

#[tokio::test]
async fn waiting_has_no_limit_but_the_end_has() {
    let bench = Bench::new();
    let limits = Limits { wall: Some(Duration::from_secs(1)), ..Limits::default() };
    let mut follower = follow_script(&bench, "exec sleep 100", limits);
    assert!(tokio::time::timeout(Duration::from_millis(1_500), follower.next()).await.is_err());
    let ended = Instant::now();
    follower.end(1, &bench.path("joined")).await.unwrap();
    assert_eq!(follower.next().await.unwrap_err(), TranscodeError::TimedOut { seconds: 1 });
    assert!(ended.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_file_shorter_than_told_and_segments_that_are_gone_are_faults_of_the_disk() {
    let bench = Bench::new();
    let mut recording = Recording::new(&bench, call().bytes(), MP3, 1.0);
    recording.write_until(100_000).await;
    recording.written += 50_000;
    let error = recording.seal_here().await.unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{error}");
    let bench = Bench::new();
    let bytes = long_call(2).bytes();
    let most = bytes.len() * 3 / 4;
    let mut recording = Recording::new(&bench, bytes, MP3, 1.0);
    recording.write_until(most).await;
    let first = recording.next_segment().await;
    std::fs::remove_file(first.path).unwrap();
    let error = recording.seal().await.unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }) && !error.is_permanent(), "{error}");
    assert!(!bench.path("joined").exists() && parts(&bench).is_empty());
}

#[tokio::test]
async fn what_has_no_sound_or_isnt_sound_cant_be_followed() {
    let bench = Bench::new();
    for (json, interval, option) in
        [(r#"{"kind": "mp4"}"#, 10.0, "kind"), (MP3, 0.5, "interval"), (MP3, 3_601.0, "interval")]
    {
        match Worker::new(PROGRAM).follow(&order(&bench, json, interval)).unwrap_err() {
            TranscodeError::BadOption(bad) => assert_eq!(bad.option, option),
            error => panic!("{error}"),
        }
    }
    let error = Worker::new(PROGRAM).follow(&order(&bench, MP3, 1.0)).unwrap_err();
    assert!(matches!(error, TranscodeError::Io { .. }), "{error}");
    let mut film = Film::default();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.play(video, &frames(Codec::Vp8, SIZE)[..30], 0);
    let mut recording = Recording::new(&bench, film.bytes(), MP3, 1.0);
    let error = recording.seal().await.unwrap_err();
    assert!(matches!(error, TranscodeError::NoSuchTrack { .. }), "{error}");
    let mut film = Film::default();
    film.add_opus();
    let mut recording = Recording::new(&bench, film.bytes(), MP3, 1.0);
    let error = recording.seal().await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
}
