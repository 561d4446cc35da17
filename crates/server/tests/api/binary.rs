//! The binary's output and exit codes.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webrtc-recorder"));
    command.env_clear().env("HOME", "/nonexistent").args(arguments);
    command
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    command(arguments).envs(environment.iter().copied()).output().unwrap()
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn an_invalid_value_exits_64_and_names_key_and_origin() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recorder.toml");
    std::fs::write(&path, "[limits]\nsessions = \"many\"\n").unwrap();
    let file = path.to_str().unwrap();
    for (arguments, environment, want) in [
        (
            vec!["config", "check"],
            vec![("WEBRTC_UDP_PORT_RANGE", "70000")],
            "webrtc.udp_port_range (environment WEBRTC_UDP_PORT_RANGE): ",
        ),
        (
            vec!["server"],
            vec![("WEBRTC_ICE_FAILED_TIMEOUT", "soon")],
            "webrtc.ice_failed_timeout (environment WEBRTC_ICE_FAILED_TIMEOUT): ",
        ),
        (vec!["config", "check", "--config", file], vec![], "recorder.toml:2): "),
        (vec!["migrate", "--config", file], vec![], "limits.sessions ("),
        (vec!["server", "--udp-port-range", "x"], vec![], "webrtc.udp_port_range (flag --udp-port-range): "),
        (vec!["server", "--set", "grpc.lisen=x"], vec![], "did you mean grpc.listen?"),
        (
            vec!["server"],
            vec![("BIND_ADDRESS", "0.0.0.0:0")],
            "grpc.listen (environment BIND_ADDRESS): it would listen beyond loopback",
        ),
        (vec!["server", "--no-such-flag"], vec![], "--no-such-flag"),
    ] {
        let output = run(&arguments, &environment);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", text_of(&output));
        assert!(text_of(&output).contains(want), "{arguments:?}: {}", text_of(&output));
    }
}

#[test]
fn a_port_in_use_exits_64_and_names_the_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let output =
        run(&["server", "--data-dir", directory.path().to_str().unwrap(), "--grpc-listen", &address], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text_of(&output).contains("grpc.listen (flag --grpc-listen): "), "{}", text_of(&output));
}

#[test]
fn config_check_prints_the_merged_result_without_secrets() {
    let environment = [
        ("DATA_SOURCE", "postgres://app:hunter2@db/rec"),
        ("UPLOADER_WORKERS", "3"),
        ("RECORDER__BLOB__S3__BUCKET", "records"),
        ("RECORDER__BLOB__S3__ACCESS_KEY", "hunter2"),
        ("RECORDER__BLOB__S3__SECRET_KEY", "hunter2"),
    ];
    let output = run(&["config", "check"], &environment);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let printed = text_of(&output);
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("url = \"postgres://app:***@db/rec\"  # environment DATA_SOURCE"), "{printed}");
    assert!(printed.contains("upload_workers = 3  # environment UPLOADER_WORKERS"), "{printed}");
}

#[test]
fn doctor_prints_each_check_and_exits_1_on_a_failure() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let media = ["--udp-port-range", "0", "--listen-ips", "127.0.0.1", "--set", "limits.min_free_bytes=0"];
    let ports = ["--grpc-listen", &address, "--http-listen", "127.0.0.1:0"];
    let output = run(&[&["doctor", "--data-dir", data], &media[..], &ports[..]].concat(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text_of(&output));
    for line in ["ok    config", "ok    spool", "ok    database", "ok    objects", "FAIL  grpc.listen"] {
        assert!(text_of(&output).contains(line), "{line}: {}", text_of(&output));
    }
    let output = run(&["doctor"], &[("WEBRTC_UDP_PORT_RANGE", "70000")]);
    assert_eq!(output.status.code(), Some(1), "{}", text_of(&output));
    assert!(text_of(&output).contains("FAIL  config"), "{}", text_of(&output));
}

#[test]
fn the_version_is_printed() {
    let output = run(&["version"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text_of(&output).starts_with(&format!("webrtc-recorder {}", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn migrate_applies_all_migrations_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    for want in ["applied [", "up to date"] {
        let output = run(&["migrate", "--data-dir", data], &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains(want), "{}", text_of(&output));
    }
}

/// Starts a recorder. Returns it once it is ready, with its log so far.
pub fn serve(directory: &TempDir, environment: &[(&str, &str)]) -> (Child, String) {
    let data = directory.path().to_str().unwrap();
    let flags = ["--data-dir", data, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
    let media = ["--udp-port-range", "0", "--listen-ips", "127.0.0.1"];
    let mut command = command(&[&["server"], &flags[..], &media[..]].concat());
    let mut child = command.envs(environment.iter().copied()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    while !log.contains(" ready") {
        assert!(lines.read_line(&mut log).unwrap() > 0, "it ended early:\n{log}");
    }
    // Reads the rest of its log, so that it never blocks on a full pipe.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    (child, log)
}

pub fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn it_starts_without_configuration_logs_its_addresses_and_stops_on_either_signal() {
    for name in [Signal::SIGTERM, Signal::SIGINT] {
        let directory = tempfile::tempdir().unwrap();
        let (mut child, log) = serve(&directory, &[]);
        for part in ["gRPC address=127.0.0.1:", "HTTP address=127.0.0.1:", "media addresses=", "data_dir="] {
            assert!(log.contains(part), "{part} is missing:\n{log}");
        }
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(directory.path().join("recorder.db").exists());
    }
}

#[test]
fn keys_without_effect_are_logged_once() {
    let directory = tempfile::tempdir().unwrap();
    let set = [("CONSUL", "consul:8500"), ("WEBRTC_ICE_KEEPALIVE_TIMEOUT", "3s")];
    let (mut child, log) = serve(&directory, &set);
    for part in ["registration is not part of this version", "webrtc.ice_keepalive_interval"] {
        assert_eq!(log.matches(part).count(), 1, "{part}:\n{log}");
    }
    signal(&child, Signal::SIGTERM);
    child.wait().unwrap();
}

#[test]
fn systemd_is_notified_of_start_and_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let (mut child, _) = serve(&directory, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let mut word = [0; 64];
    let length = socket.recv(&mut word).unwrap();
    assert_eq!(&word[..length], b"READY=1");
    signal(&child, Signal::SIGTERM);
    let length = socket.recv(&mut word).unwrap();
    assert_eq!(&word[..length], b"STOPPING=1");
    child.wait().unwrap();
}

#[test]
fn secrets_are_not_logged_even_if_the_database_can_not_be_reached() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let data = directory.path().to_str().unwrap();
    let environment = [
        ("LOG_FILE", log.to_str().unwrap()),
        ("LOG_LVL", "trace"),
        ("LOG_JSON", "true"),
        ("RECORDER__BLOB__S3__BUCKET", "records"),
        ("RECORDER__BLOB__S3__ENDPOINT", "http://127.0.0.1:1"),
        ("RECORDER__BLOB__S3__ACCESS_KEY", "hunter2"),
        ("RECORDER__BLOB__S3__SECRET_KEY", "hunter2"),
        ("DATA_SOURCE", "postgres://app:hunter2@127.0.0.1:1/rec"),
    ];
    let output = run(
        &["server", "--data-dir", data, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"],
        &environment,
    );
    assert_eq!(output.status.code(), Some(1), "{}", text_of(&output));
    let logged = std::fs::read_to_string(&log).unwrap() + &text_of(&output);
    assert!(logged.contains("postgres://app:***@127.0.0.1:1/rec"), "{logged}");
    assert!(!logged.contains("hunter2"), "{logged}");
}

#[tokio::test]
async fn a_second_signal_exits_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, log) = serve(&directory, &[]);
    let (_, rest) = log.split_once("gRPC address=").unwrap();
    let url = format!("http://{}", rest.split_whitespace().next().unwrap());
    // A client that watches health delays the exit by some seconds.
    let mut client = HealthClient::new(Endpoint::from_shared(url).unwrap().connect_lazy());
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap();
    signal(&child, Signal::SIGTERM);
    let last = watch.message().await.unwrap().unwrap();
    assert_eq!(last.status(), ServingStatus::NotServing);
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
