//! Development only: a WebRTC sender with a test signal, network impairment, real servers started for a test.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`signal`] | coded video and audio with a flash, a beep and a frame counter |
//! | [`sender`] | a WebRTC peer that plays such clips, by real or virtual time, through a network that loses packets |
//! | [`recorder`] | the recorder's own binary, started for one test |
//! | [`call`] | one recording by gRPC: offer, answer, renegotiate, stop |
//! | [`verify`] | what a finished file must hold, read with ffmpeg and ffprobe |
//! | [`client`] | browsers and other WebRTC stacks, driven from a test |
//! | [`servers`] | databases and object stores started for a test |

pub mod call;
pub mod client;
pub mod process;
pub mod recorder;
pub mod sender;
pub mod servers;
pub mod signal;
pub mod verify;
