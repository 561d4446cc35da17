//! Writes Matroska files with any frame at any time.

use testkit::signal::Frame;

/// The pre-skip of libopus (RFC 7845 §5.1), in samples at 48 kHz.
const PRE_SKIP: u16 = 312;

#[derive(Default, Clone)]
pub struct MatroskaFile {
    tracks: Vec<Vec<u8>>,
    /// Milliseconds, track number, whether a keyframe, and the frame.
    pub blocks: Vec<(i64, u8, bool, std::sync::Arc<[u8]>)>,
    /// Whether blocks are written in this order instead of that of their times.
    pub in_this_order: bool,
    /// The duration in the header of a finalized file, in milliseconds.
    pub duration: Option<f64>,
}

impl MatroskaFile {
    /// Returns the track's number, from 1. `roll` is ProjectionPoseRoll.
    pub fn add_video(&mut self, codec: &str, size: (u32, u32), roll: f32) -> u8 {
        let mut video = element(0xB0, &size.0.to_be_bytes());
        video.extend(element(0xBA, &size.1.to_be_bytes()));
        if roll != 0.0 {
            let mut projection = element(0x7671, &[0]);
            projection.extend(element(0x7675, &roll.to_be_bytes()));
            video.extend(element(0x7670, &projection));
        }
        self.add(1, codec, &element(0xE0, &video))
    }

    /// Mono.
    pub fn add_opus(&mut self) -> u8 {
        self.add_opus_of(1)
    }

    pub fn add_opus_of(&mut self, channels: u8) -> u8 {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(channels);
        head.extend(PRE_SKIP.to_le_bytes());
        head.extend(48_000_u32.to_le_bytes());
        head.extend([0; 3]);
        let mut audio = element(0xB5, &48_000.0_f32.to_be_bytes());
        audio.extend(element(0x9F, &[channels]));
        let delay = u64::from(PRE_SKIP) * 1_000_000_000 / 48_000;
        let entry = [
            element(0x63A2, &head),
            element(0x56AA, &delay.to_be_bytes()),
            element(0x56BB, &80_000_000_u64.to_be_bytes()),
            element(0xE1, &audio),
        ];
        self.add(2, "A_OPUS", &entry.concat())
    }

    fn add(&mut self, kind: u8, codec: &str, more: &[u8]) -> u8 {
        let number = self.tracks.len() as u8 + 1;
        let mut entry = element(0xD7, &[number]);
        entry.extend(element(0x73C5, &[number]));
        entry.extend(element(0x83, &[kind]));
        entry.extend(element(0x86, codec.as_bytes()));
        entry.extend_from_slice(more);
        self.tracks.push(element(0xAE, &entry));
        number
    }

    /// Adds frames at their times plus `late` milliseconds.
    pub fn add_frames(&mut self, track: u8, frames: &[Frame], late: i64) {
        for frame in frames {
            // Rounded to milliseconds, as the recorder does.
            let time = (frame.time.as_micros() as i64 + 500) / 1_000 + late;
            self.blocks.push((time, track, frame.keyframe, frame.data.clone()));
        }
    }

    /// The file without cues, as a killed recorder leaves it. A cluster has about a second of media.
    pub fn bytes(&self) -> Vec<u8> {
        let mut blocks = self.blocks.clone();
        if !self.in_this_order {
            blocks.sort_by_key(|block| block.0);
        }
        let mut ebml = element(0x4286, &[1]);
        ebml.extend(element(0x4282, b"matroska"));
        let mut file = element(0x1A45_DFA3, &ebml);
        // Segment of unknown size.
        file.extend([0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        let mut info = element(0x2A_D7B1, &1_000_000_u32.to_be_bytes());
        if let Some(duration) = self.duration {
            info.extend(element(0x4489, &duration.to_be_bytes()));
        }
        file.extend(element(0x1549_A966, &info));
        file.extend(element(0x1654_AE6B, &self.tracks.concat()));
        for cluster in blocks.chunk_by(|a, b| a.0 / 1_000 == b.0 / 1_000) {
            let start = cluster[0].0;
            let mut content = element(0xE7, &start.to_be_bytes());
            for (time, track, keyframe, data) in cluster {
                let mut block = vec![0x80 | track];
                block.extend(i16::try_from(time - start).expect("within a cluster").to_be_bytes());
                block.push(if *keyframe { 0x80 } else { 0 });
                block.extend_from_slice(data);
                content.extend(element(0xA3, &block));
            }
            file.extend(element(0x1F43_B675, &content));
        }
        file
    }
}

/// An element with a size of four bytes.
fn element(id: u32, data: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes();
    let mut bytes: Vec<u8> = id.into_iter().skip_while(|byte| *byte == 0).collect();
    bytes.extend((data.len() as u32 | 0x1000_0000).to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}
