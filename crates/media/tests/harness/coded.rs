//! Coded streams made by ffmpeg at test time. A missing ffmpeg fails the test.

use std::{
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Coded frames in order, keyframe flags with them.
pub type Frames = Vec<Vec<u8>>;

fn ffmpeg(arguments: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-threads", "1"])
        .args(arguments.split_whitespace())
        .arg("-")
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg must be installed");
    assert!(output.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// IVF: a header of 32 bytes, then frames with headers of 12.
fn ivf(file: &[u8]) -> Frames {
    let mut frames = Vec::new();
    let mut rest = &file[32..];
    while rest.len() > 12 {
        let size = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        frames.push(rest[12..12 + size].to_vec());
        rest = &rest[12 + size..];
    }
    frames
}

/// Ogg packets, without the two headers of Opus (RFC 7845).
fn ogg(file: &[u8]) -> Frames {
    let mut packets = Vec::new();
    let mut packet = Vec::new();
    let mut rest = file;
    while rest.len() > 27 {
        let segments = usize::from(rest[26]);
        let table = &rest[27..27 + segments];
        let mut at = 27 + segments;
        for &length in table {
            packet.extend_from_slice(&rest[at..at + usize::from(length)]);
            at += usize::from(length);
            if length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        rest = &rest[at..];
    }
    packets.split_off(2)
}

fn cached(cell: &'static OnceLock<Frames>, make: impl FnOnce() -> Frames) -> &'static [Vec<u8>] {
    cell.get_or_init(make)
}

/// 10 s of 320 × 180 at 25 fps, a keyframe each second.
pub fn vp8() -> &'static [Vec<u8>] {
    static CELL: OnceLock<Frames> = OnceLock::new();
    cached(&CELL, || {
        ivf(&ffmpeg(
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=10 -c:v libvpx -b:v 600k -deadline realtime -cpu-used 8 -g 25 -f ivf",
        ))
    })
}

/// 10 s of stereo in packets of 20 ms.
pub fn opus() -> &'static [Vec<u8>] {
    static CELL: OnceLock<Frames> = OnceLock::new();
    cached(&CELL, || {
        ogg(&ffmpeg(
            "-f lavfi -i sine=frequency=1000:beep_factor=4:duration=10:sample_rate=48000 -ac 2 -c:a libopus -b:a 48k -f ogg",
        ))
    })
}
