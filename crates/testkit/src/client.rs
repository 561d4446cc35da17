//! Browsers and other WebRTC stacks, driven from a test.
