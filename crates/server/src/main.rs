//! The binary `webrtc-recorder`.

fn main() {}
