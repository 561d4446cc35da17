//! Streams that ffmpeg codes at test time. Without ffmpeg the tests fail.

use std::{
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Coded frames in order.
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
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=10 -c:v libvpx -b:v 600k -deadline realtime -cpu-used 8 -g 25 -auto-alt-ref 0 -f ivf",
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

/// As [`vp8`].
pub fn vp9() -> &'static [Vec<u8>] {
    static CELL: OnceLock<Frames> = OnceLock::new();
    cached(&CELL, || {
        ivf(&ffmpeg(
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=10 -c:v libvpx-vp9 -b:v 600k -deadline realtime -cpu-used 8 -g 25 -auto-alt-ref 0 -lag-in-frames 0 -f ivf",
        ))
    })
}

/// As [`vp8`]; temporal units with their delimiters.
pub fn av1() -> &'static [Vec<u8>] {
    static CELL: OnceLock<Frames> = OnceLock::new();
    cached(&CELL, || {
        ivf(&ffmpeg(
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=10 -c:v libaom-av1 -usage realtime -cpu-used 8 -b:v 600k -g 25 -lag-in-frames 0 -f ivf",
        ))
    })
}

/// As [`vp8`]; access units of NAL units, without start codes.
pub fn h264() -> Vec<Vec<Vec<u8>>> {
    static CELL: OnceLock<Frames> = OnceLock::new();
    let file = cached(&CELL, || {
        vec![ffmpeg(
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=10 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -tune zerolatency -profile:v baseline -b:v 600k -g 25 -bsf:v h264_metadata=aud=insert -f h264",
        )]
    });
    access_units(&file[0], |unit| unit[0] & 0x1f == 9)
}

/// As [`h264`].
pub fn h265() -> Vec<Vec<Vec<u8>>> {
    static CELL: OnceLock<Frames> = OnceLock::new();
    let file = cached(&CELL, || {
        vec![ffmpeg(
            "-f lavfi -i testsrc2=size=320x180:rate=25:duration=10 -pix_fmt yuv420p -c:v libx265 -preset ultrafast -tune zerolatency -x265-params log-level=error:keyint=25:repeat-headers=1 -b:v 600k -bsf:v hevc_metadata=aud=insert -f hevc",
        )]
    });
    access_units(&file[0], |unit| unit[0] >> 1 & 0x3f == 35)
}

/// Annex B to access units. Their delimiters are left out, as browsers do not send them.
fn access_units(file: &[u8], is_delimiter: impl Fn(&[u8]) -> bool) -> Vec<Vec<Vec<u8>>> {
    let mut starts = Vec::new();
    for at in 0..file.len().saturating_sub(3) {
        if file[at..at + 3] == [0, 0, 1] {
            starts.push(at);
        }
    }
    starts.push(file.len());
    let mut units: Vec<Vec<Vec<u8>>> = Vec::new();
    for pair in starts.windows(2) {
        let mut unit = &file[pair[0] + 3..pair[1]];
        while let Some((0, rest)) = unit.split_last() {
            unit = rest;
        }
        if is_delimiter(unit) {
            units.push(Vec::new());
        } else {
            units.last_mut().expect("a delimiter first").push(unit.to_vec());
        }
    }
    units
}

/// 10 s of a telephone codec, in packets of 20 ms, which are 160 bytes.
pub fn telephone(encoder: &str) -> Frames {
    let (rate, container) = match encoder {
        "g722" => (16_000, "g722"),
        "pcm_mulaw" => (8_000, "mulaw"),
        _ => (8_000, "alaw"),
    };
    let file = ffmpeg(&format!(
        "-f lavfi -i sine=frequency=440:duration=10:sample_rate={rate} -ac 1 -c:a {encoder} -f {container}"
    ));
    file.chunks(160).map(<[u8]>::to_vec).collect()
}

/// 3 s of stereo: one second of silence, then a tone.
pub fn opus_beep() -> Frames {
    ogg(&ffmpeg(
        "-f lavfi -i aevalsrc=exprs=0.5*gte(t\\,1)*sin(2*PI*1000*t):s=48000:d=3 -ac 2 -c:a libopus -b:a 96k -f ogg",
    ))
}

/// One second of VP8 of this size.
pub fn vp8_of(size: &str) -> Frames {
    ivf(&ffmpeg(&format!(
        "-f lavfi -i testsrc2=size={size}:rate=25:duration=1 -c:v libvpx -b:v 1M -deadline realtime -cpu-used 8 -auto-alt-ref 0 -f ivf"
    )))
}
