//! Configuration, wiring, gRPC, HTTP, telemetry and shutdown of the recorder.
