//! Compiles `/proto` without protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: &[&str] = &["webrtc_recorder.proto", "storage/storage.proto", "recorder/v1/recording.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let files: Vec<&str> = FILES.iter().copied().filter(|file| root.join(file).exists()).collect();
    let set = protox::compile(files, [&root])?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("descriptors.binpb"), set.encode_to_vec())?;
    tonic_prost_build::configure().build_client(true).build_server(true).compile_fds(set)?;
    Ok(())
}
