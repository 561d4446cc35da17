//! Compiles `/proto` without protoc.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: &[&str] = &[
    "webrtc_recorder.proto",
    "storage/storage.proto",
    "recorder/v1/recording.proto",
    "recorder/v1/ingest.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    // Encoded by the compiler itself: prost's types would drop the google.api.http options.
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("descriptors.binpb"), descriptors)?;
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}
