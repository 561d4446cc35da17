//! A recorder under a virtual clock, coded streams as its input, and players that check its files.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss
)]

pub mod coded;
pub mod packetize;
pub mod parse;
pub mod player;
pub mod script;
pub mod sender;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use media::{
    FinalBytes, Input, KeyframeReason, LayerId, NtpTime, Output, Recorder, RecorderConfig, RecordingSummary,
    RtpPacket, RtpTimestamp, SenderReport, Ssrc, TrackConfig, TrackId,
};

/// The file that the recorder's outputs make.
#[derive(Debug, Default, Clone)]
pub struct Disk {
    pub bytes: Vec<u8>,
    pub appends: usize,
    pub patches: usize,
    /// What the recorder returned as final.
    pub final_bytes: Option<FinalBytes>,
}

impl Disk {
    pub fn execute(&mut self, output: &Output) {
        match output {
            Output::Append(bytes) => {
                assert!(!bytes.is_empty(), "an empty append");
                self.bytes.extend_from_slice(bytes);
                self.appends += 1;
            }
            Output::Patch { offset, bytes } => {
                let start = usize::try_from(*offset).unwrap();
                if let Some(final_bytes) = self.final_bytes {
                    let end = offset + bytes.len() as u64;
                    assert!(
                        end <= final_bytes.from || *offset >= final_bytes.until,
                        "{offset}: a patch of {final_bytes:?}"
                    );
                }
                let earlier = self.bytes.get_mut(start..start + bytes.len());
                earlier.expect("a patch beyond what was appended").copy_from_slice(bytes);
                self.patches += 1;
            }
            Output::Restart => {
                assert_eq!(self.final_bytes, None, "final bytes are replaced");
                self.bytes.clear();
            }
            _ => {}
        }
    }

    /// All outputs so far are executed, and these bytes are final.
    fn set_final(&mut self, final_bytes: Option<FinalBytes>) {
        if let (Some(before), Some(now)) = (self.final_bytes, final_bytes) {
            assert!(now.until >= before.until && now.from == before.from, "{before:?} became {now:?}");
            assert!(now.until <= self.bytes.len() as u64);
        }
        self.final_bytes = final_bytes;
    }
}

/// A recorder, its clock and its disk.
pub struct Harness {
    pub recorder: Recorder,
    pub start: Instant,
    /// Since the start.
    pub now: Duration,
    pub disk: Disk,
    pub keyframes: Vec<(Duration, TrackId, LayerId, KeyframeReason)>,
    pub summary: Option<RecordingSummary>,
    pub most_held: usize,
    /// Whether to store a copy of the file after each output.
    pub record_states: bool,
    pub states: Vec<Vec<u8>>,
    deadline: Option<Instant>,
}

impl Harness {
    pub fn new(config: RecorderConfig) -> Self {
        Self::at(config, UNIX_EPOCH + Duration::from_secs(1_800_000_000))
    }

    pub fn at(config: RecorderConfig, wall: SystemTime) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an instant can't be made otherwise; only differences count"
        )]
        let start = Instant::now();
        Self {
            recorder: Recorder::new(config, start, wall),
            start,
            now: Duration::ZERO,
            disk: Disk::default(),
            keyframes: Vec::new(),
            summary: None,
            most_held: 0,
            record_states: false,
            states: Vec::new(),
            deadline: None,
        }
    }

    pub fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// Advances the clock, and delivers the timeouts that are due by then.
    pub fn advance(&mut self, to: Duration) {
        let mut rounds = 0;
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= self.start + to) {
            let due = deadline.saturating_duration_since(self.start).max(self.now);
            rounds = if due > self.now { 0 } else { rounds + 1 };
            assert!(rounds < 100, "the recorder requests the same time again and again");
            self.now = due;
            self.recorder.handle_input(Input::Timeout(self.start + due));
            self.drain();
        }
        self.now = self.now.max(to);
    }

    pub fn input(&mut self, input: Input) {
        self.recorder.handle_input(input);
        self.drain();
    }

    pub fn add(&mut self, track: TrackConfig) {
        let at = self.instant();
        self.input(Input::AddTrack { track, at });
    }

    pub fn rtp(&mut self, at: Duration, track: TrackId, packet: RtpPacket) {
        self.rtp_layer(at, track, LayerId(0), packet);
    }

    pub fn rtp_layer(&mut self, at: Duration, track: TrackId, layer: LayerId, packet: RtpPacket) {
        self.advance(at);
        self.input(Input::Rtp { track, layer, arrival: self.start + at, packet });
    }

    pub fn report(&mut self, at: Duration, track: TrackId, ssrc: u32, ntp: NtpTime, rtp_timestamp: u32) {
        self.report_layer(at, track, LayerId(0), ssrc, ntp, rtp_timestamp);
    }

    pub fn report_layer(
        &mut self,
        at: Duration,
        track: TrackId,
        layer: LayerId,
        ssrc: u32,
        ntp: NtpTime,
        rtp_timestamp: u32,
    ) {
        self.advance(at);
        let report = SenderReport { ssrc: Ssrc(ssrc), ntp, rtp_timestamp: RtpTimestamp(rtp_timestamp) };
        self.input(Input::SenderReport { track, layer, arrival: self.start + at, report });
    }

    /// Ends the session, and returns the file.
    pub fn finish(&mut self) -> (RecordingSummary, Vec<u8>) {
        let at = self.instant();
        self.input(Input::Finish(at));
        (self.summary.clone().expect("a summary"), self.disk.bytes.clone())
    }

    fn drain(&mut self) {
        let mut restarted = false;
        loop {
            let output = self.recorder.poll_output();
            self.disk.execute(&output);
            // A draft and its replacement are written together.
            restarted |= matches!(output, Output::Restart);
            if self.record_states && !restarted && matches!(output, Output::Append(_) | Output::Patch { .. })
            {
                self.states.push(self.disk.bytes.clone());
            }
            match output {
                Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    break;
                }
                Output::Keyframe(track, layer, reason) => {
                    self.keyframes.push((self.now, track, layer, reason));
                }
                Output::Finished(summary) => {
                    assert!(self.summary.replace(summary).is_none(), "finished twice");
                }
                Output::Append(_) | Output::Patch { .. } | Output::Restart => {}
            }
        }
        self.disk.set_final(self.recorder.final_bytes());
        if self.record_states && restarted {
            self.states.push(self.disk.bytes.clone());
        }
        self.most_held = self.most_held.max(self.recorder.statistics().held_bytes);
    }
}

/// A time of a sender's wall clock, `since` after an arbitrary date.
pub fn ntp(since: Duration) -> NtpTime {
    let since = since + ms(317);
    let seconds = 3_900_000_000 + since.as_secs();
    NtpTime((seconds << 32) | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000))
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
