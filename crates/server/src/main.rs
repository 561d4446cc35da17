//! The binary `webrtc-recorder`.

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use server::{
    App, Cli, Command, Config, ConfigCommand, Database, StartError, Traces, config, logs,
    signals::asked_to_stop,
};

/// Sessions come and go in threads of their own kind: glibc's arenas keep what each of them once needed, which cost
/// 250 KB a session (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A configuration or command line that can't be used (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// Everything else that goes wrong.
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
            Ok(config) => say(&config.print()),
            Err(errors) => fail(USAGE, &errors),
        },
        Command::TranscodeWorker => transcode::worker_main(),
        Command::Server => with_config(&cli, serve),
        Command::Migrate => with_config(&cli, migrate),
    }
}

/// Runs a command with the configuration and the log that it names.
fn with_config<F: Future<Output = ExitCode>>(cli: &Cli, command: impl FnOnce(Config) -> F) -> ExitCode {
    let config = match Config::load(&cli.sources()) {
        Ok(config) => config,
        Err(errors) => return fail(USAGE, &errors),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILURE, &format!("the runtime does not start: {error}")),
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
    let stop = match asked_to_stop() {
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

fn say(text: &str) -> ExitCode {
    // Whoever reads may have gone: `| head` is no fault.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(code: u8, why: &impl Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "webrtc-recorder: {why}");
    ExitCode::from(code)
}
