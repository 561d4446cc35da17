//! The binary `webrtc-recorder`.

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use server::{
    App, Cli, Command, Config, ConfigCommand, Database, StartError, Traces, config, doctor, logs,
    openssl_fault, signals::stop_requested,
};

/// Each shard's thread allocates for its sessions. With glibc's arenas each thread retained its peak, which cost 250 KB
/// a session (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for an invalid configuration or command line (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// Exit code for every other failure.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Command::Version => say(&format!("webrtc-recorder {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Config { what: ConfigCommand::Reference } => say(&config::reference()),
        Command::Config { what: ConfigCommand::Check } => match Config::load(&cli.sources()) {
            Ok(config) => {
                if let Some(fault) = openssl_fault() {
                    let _ = writeln!(io::stderr(), "ERROR: {fault}");
                }
                say(&config.print())
            }
            Err(errors) => fail(USAGE, &errors),
        },
        Command::Doctor => examine(&cli),
        Command::TranscodeWorker => transcode::worker_main(),
        Command::Server => with_config(&cli, serve),
        Command::Migrate => with_config(&cli, migrate),
    }
}

/// Loads the configuration, starts the log and the traces, and runs a command.
fn with_config<F: Future<Output = ExitCode>>(cli: &Cli, command: impl FnOnce(Config) -> F) -> ExitCode {
    let config = match Config::load(&cli.sources()) {
        Ok(config) => config,
        Err(errors) => return fail(USAGE, &errors),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILURE, &format!("the tokio runtime can't be started: {error}")),
    };
    let unusable =
        |key: &str, error: &dyn Display| fail(USAGE, &format!("{key} ({}): {error}", config.origin(key)));
    let traces = match runtime.block_on(async { Traces::start(&config.otel) }) {
        Ok(traces) => traces,
        Err(error) => return unusable("otel.endpoint", &error),
    };
    if let Err(error) = logs::start(&config.log, traces.as_ref()) {
        return unusable("log.file", &error);
    }
    let code = runtime.block_on(command(config));
    if let Some(traces) = traces {
        traces.finish();
    }
    code
}

async fn serve(config: Config) -> ExitCode {
    let stop = match stop_requested() {
        Ok(stop) => stop,
        Err(error) => return fail(FAILURE, &format!("signals can't be caught: {error}")),
    };
    let app = match App::build(config).await {
        Ok(app) => app,
        Err(error @ StartError::Config { .. }) => return fail(USAGE, &error),
        Err(error) => return fail(FAILURE, &error),
    };
    app.log_startup();
    match app.run(stop).await {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(FAILURE, &error),
    }
}

async fn migrate(config: Config) -> ExitCode {
    let database = match Database::open(&config).await {
        Ok(database) => database,
        Err(error) => return fail(FAILURE, &error),
    };
    let applied = database.migrate().await;
    database.close().await;
    match applied {
        Ok(applied) if applied.is_empty() => say("the schema is up to date\n"),
        Ok(applied) => say(&format!("applied {applied:?}\n")),
        Err(error) => fail(FAILURE, &error),
    }
}

/// Runs the doctor: a line for each check.
fn examine(cli: &Cli) -> ExitCode {
    let config = match Config::load(&cli.sources()) {
        Ok(config) => config,
        Err(errors) => {
            say(&format!("FAIL  config          {errors}\n"));
            return ExitCode::from(FAILURE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILURE, &format!("the tokio runtime can't be started: {error}")),
    };
    let findings = runtime.block_on(doctor::examine(&config));
    say("ok    config          valid\n");
    for finding in &findings {
        say(&format!("{finding}\n"));
    }
    let failed = findings.iter().any(|finding| finding.result.is_err());
    ExitCode::from(if failed { FAILURE } else { 0 })
}

fn say(text: &str) -> ExitCode {
    // A closed pipe, as with `| head`, is no failure.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(code: u8, why: &impl Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "webrtc-recorder: {why}");
    ExitCode::from(code)
}
