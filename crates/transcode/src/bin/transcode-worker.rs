//! The worker as a program of its own. Tests start it instead of the server's hidden subcommand.

fn main() -> std::process::ExitCode {
    transcode::worker_main()
}
