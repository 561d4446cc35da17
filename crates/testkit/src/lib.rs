//! Development only: a WebRTC sender with a test signal, network impairment, real servers started for a test.

pub mod servers;
