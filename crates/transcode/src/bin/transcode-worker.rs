//! The worker alone: what tests start in place of the server's hidden subcommand.

fn main() -> std::process::ExitCode {
    transcode::worker_main()
}
