//! Checks of a file by ffmpeg and ffprobe.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

/// Tracks that join late are found only within these limits.
const PROBE_ALL: [&str; 4] = ["-analyzeduration", "60M", "-probesize", "50M"];

/// A file on disk for a player. It is removed on drop.
pub struct OnDisk {
    pub path: PathBuf,
    _dir: tempfile::TempDir,
}

impl OnDisk {
    pub fn new(bytes: &[u8], extension: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("recording.{extension}"));
        std::fs::write(&path, bytes).unwrap();
        Self { path, _dir: dir }
    }

    /// Decodes everything. Any warning fails the test.
    pub fn decodes_clean(&self) {
        let output = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "warning", "-nostdin", "-xerror", "-threads", "1"])
            .args(PROBE_ALL)
            .args(["-i"])
            .arg(&self.path)
            .args(["-map", "0", "-f", "null", "-"])
            .output()
            .expect("ffmpeg must be installed");
        let log = String::from_utf8_lossy(&output.stderr);
        // Matroska has no channel layout, so ffmpeg warns that it guesses the one of each track but Opus.
        let warning =
            log.lines().find(|line| !line.trim().is_empty() && !line.starts_with("Guessed Channel"));
        assert!(output.status.success() && warning.is_none(), "ffmpeg: {log}");
    }

    /// When the first silence ends, in seconds of presentation time.
    pub fn first_sound(&self) -> f64 {
        let output = Command::new("ffmpeg")
            .args(["-hide_banner", "-nostdin", "-copyts", "-i"])
            .arg(&self.path)
            .args(["-map", "0:a:0", "-af", "silencedetect=noise=-30dB:d=0.2", "-f", "null", "-"])
            .output()
            .expect("ffmpeg must be installed");
        let log = String::from_utf8_lossy(&output.stderr);
        let (_, end) = log.split_once("silence_end: ").expect("a silence that ends");
        end.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub fn ffprobe(&self, arguments: &str) -> String {
        let output = Command::new("ffprobe")
            .args(["-hide_banner", "-loglevel", "error"])
            .args(PROBE_ALL)
            .args(arguments.split_whitespace())
            .args(["-of", "default=noprint_wrappers=0"])
            .arg(&self.path)
            .output()
            .expect("ffprobe must be installed");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && log.trim().is_empty(), "ffprobe: {log}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The sections of one kind (`STREAM`, `FORMAT`, `PACKET`, `FRAME`) as key–value maps.
    pub fn sections(&self, kind: &str, arguments: &str) -> Vec<BTreeMap<String, String>> {
        let text = self.ffprobe(arguments);
        let mut sections = Vec::new();
        let mut current = None;
        for line in text.lines() {
            if line == format!("[{kind}]") {
                current = Some(BTreeMap::new());
            } else if line == format!("[/{kind}]") {
                sections.extend(current.take());
            } else if let (Some(section), Some((key, value))) = (&mut current, line.split_once('=')) {
                section.insert(key.to_owned(), value.to_owned());
            }
        }
        sections
    }

    pub fn format(&self) -> BTreeMap<String, String> {
        self.sections("FORMAT", "-show_format").remove(0)
    }

    pub fn streams(&self) -> Vec<BTreeMap<String, String>> {
        self.sections("STREAM", "-show_streams -count_packets -count_frames")
    }

    /// Presentation times of a stream's packets in seconds.
    pub fn packet_times(&self, stream: usize) -> Vec<f64> {
        self.sections("PACKET", &format!("-select_streams {stream} -show_packets"))
            .iter()
            .map(|packet| packet["pts_time"].parse().unwrap())
            .collect()
    }
}
