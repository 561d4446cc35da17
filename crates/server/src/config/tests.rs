use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use model::NodeId;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Sources {
    let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut environment: BTreeMap<String, String> = pairs.collect();
    environment.entry("HOME".to_owned()).or_insert_with(|| "/home/user".to_owned());
    Sources { environment, ..Sources::default() }
}

fn load(variables: &[(&str, &str)]) -> Config {
    Config::load(&environment(variables)).unwrap()
}

fn refusal(variables: &[(&str, &str)]) -> String {
    Config::load(&environment(variables)).unwrap_err().to_string()
}

fn file(text: &str) -> (tempfile::TempDir, Sources) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recorder.toml");
    std::fs::write(&path, text).unwrap();
    (directory, Sources { file: Some(path), ..environment(&[]) })
}

fn flag(key: &str, value: &str) -> Flag {
    Flag { flag: "--set".to_owned(), key: key.to_owned(), value: value.to_owned() }
}

#[test]
fn without_configuration_it_listens_on_loopback_and_stores_all_in_the_data_directory() {
    let config = load(&[]);
    assert!(config.grpc.listen.is_loopback() && config.http.listen.is_loopback());
    assert_eq!(config.grpc.listen.address().port(), 50011);
    let data = PathBuf::from("/home/user/.local/state/webrtc-recorder");
    assert_eq!(config.data_dir, data);
    assert_eq!(config.spool.directory, data.join("spool"));
    assert_eq!(config.store.url, StoreUrl::Sqlite(data.join("recorder.db")));
    assert_eq!(config.jobs.work_directory, data.join("work"));
    assert_eq!(config.segments.directory, data.join("segments"));
    assert_eq!((config.blob.s3.bucket.as_str(), config.blob.local.directory), ("", data.join("objects")));
}

#[test]
fn the_data_directory_is_that_of_systemd_else_that_of_xdg() {
    assert_eq!(load(&[("XDG_STATE_HOME", "/x")]).data_dir, PathBuf::from("/x/webrtc-recorder"));
    let both = [("STATE_DIRECTORY", "/var/lib/recorder:/var/lib/other"), ("XDG_STATE_HOME", "/x")];
    assert_eq!(load(&both).data_dir, PathBuf::from("/var/lib/recorder"));
}

#[test]
fn every_environment_name_of_older_deployments_takes_effect() {
    type Read = fn(&mut Config) -> String;
    let rows: &[(&str, &str, Read, &str)] = &[
        ("ID", "recorder-7", |c| c.node.id.clone().unwrap().to_string(), "recorder-7"),
        ("BIND_ADDRESS", "127.0.0.1:50099", |c| c.grpc.listen.address().to_string(), "127.0.0.1:50099"),
        ("PROXY_GRPC_HOST", "10.0.0.7", |c| c.node.advertise.clone().unwrap(), "10.0.0.7"),
        ("CONSUL", "consul:8500", |c| c.consul.address.clone().unwrap(), "consul:8500"),
        ("DATA_SOURCE", "postgres://u:p@db/rec", |c| c.store.url.redacted(), "postgres://u:***@db/rec"),
        (
            "WEBRTC_CODECS",
            "video/VP8,opus",
            |c| c.webrtc.codecs.iter().map(|codec| codec.0.name()).collect::<Vec<_>>().join(" "),
            "VP8 opus",
        ),
        (
            "WEBRTC_UDP_PORT_RANGE",
            "20000:20010",
            |c| format!("{:?}", c.webrtc.udp_port_range.0),
            "20000..=20010",
        ),
        (
            "WEBRTC_ICE_DISCONNECT_TIMEOUT",
            "7s",
            |c| format!("{:?}", c.webrtc.ice_disconnected_timeout.0),
            "7s",
        ),
        ("WEBRTC_ICE_FAILED_TIMEOUT", "1m30s", |c| format!("{:?}", c.webrtc.ice_failed_timeout.0), "90s"),
        (
            "WEBRTC_ICE_KEEPALIVE_TIMEOUT",
            "500ms",
            |c| format!("{:?}", c.webrtc.ice_keepalive_interval.0),
            "500ms",
        ),
        ("CACHE_TEMP_DIR", "/cache", |c| c.spool.directory.display().to_string(), "/cache"),
        ("UPLOADER_WORKERS", "3", |c| c.jobs.upload_workers.to_string(), "3"),
        ("UPLOADER_MAX_RETRY", "4", |c| c.jobs(NodeId::default()).workers.max_attempts().to_string(), "5"),
        ("TRANSCODING_WORKERS", "2", |c| c.jobs.transcoding_workers.to_string(), "2"),
        (
            "TRANSCODING_MAX_RETRY",
            "6",
            |c| c.jobs(NodeId::default()).workers.max_render_attempts().to_string(),
            "7",
        ),
        ("LOG_LVL", "debug", |c| c.log.level.0.to_string(), "DEBUG"),
        ("LOG_JSON", "true", |c| c.log.json.to_string(), "true"),
        ("LOG_FILE", "/log", |c| format!("{:?}", c.log.file), r#"Some("/log")"#),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://otel:4317",
            |c| c.otel.endpoint.clone().unwrap(),
            "http://otel:4317",
        ),
        ("OTEL_SERVICE_NAME", "rec", |c| c.otel.service_name.clone(), "rec"),
    ];
    for (name, value, read, want) in rows {
        let mut config = load(&[(name, value)]);
        assert_eq!(read(&mut config), *want, "{name}");
    }
    let named: Vec<&str> = rows.iter().map(|row| row.0).collect();
    for (older, key) in settings::older_names::<Config>() {
        assert!(named.contains(&older.as_str()), "{older} of {key} is not tested");
    }
}

#[test]
fn a_later_source_overrides_an_earlier_one_and_is_the_origin() {
    let (_directory, mut sources) = file("[limits]\nsessions = 1\n");
    let loaded = |sources: &Sources| {
        let config = Config::load(sources).unwrap();
        (config.limits.sessions, config.origin("limits.sessions").to_string())
    };
    let (sessions, origin) = loaded(&sources);
    assert_eq!(sessions, 1);
    assert!(origin.ends_with("recorder.toml:2"), "{origin}");
    sources.environment.insert("RECORDER__LIMITS__SESSIONS".to_owned(), "2".to_owned());
    assert_eq!(loaded(&sources), (2, "environment RECORDER__LIMITS__SESSIONS".to_owned()));
    sources.flags.push(flag("limits.sessions", "3"));
    assert_eq!(loaded(&sources), (3, "flag --set".to_owned()));
}

#[test]
fn the_variable_by_rule_overrides_the_name_of_older_deployments() {
    let config = load(&[("ID", "old"), ("RECORDER__NODE__ID", "new")]);
    assert_eq!(config.node.id.unwrap().as_str(), "new");
}

#[test]
fn an_empty_variable_of_older_deployments_is_not_set() {
    assert_eq!(load(&[("CONSUL", ""), ("ID", "")]).consul.address, None);
    let (_directory, mut sources) = file("[log]\nfile = \"/log\"\n");
    for (variable, want) in [("LOG_FILE", Some("/log".into())), ("RECORDER__LOG__FILE", None)] {
        sources.environment.insert(variable.to_owned(), String::new());
        assert_eq!(Config::load(&sources).unwrap().log.file, want, "{variable}");
    }
}

#[test]
fn a_bad_value_is_named_with_its_key_and_origin() {
    for (name, value, key) in [
        ("WEBRTC_UDP_PORT_RANGE", "70000-70010", "webrtc.udp_port_range"),
        ("WEBRTC_UDP_PORT_RANGE", "200-100", "webrtc.udp_port_range"),
        ("WEBRTC_ICE_FAILED_TIMEOUT", "35", "webrtc.ice_failed_timeout"),
        ("WEBRTC_CODECS", "VP8,H263", "webrtc.codecs"),
        ("UPLOADER_WORKERS", "-1", "jobs.upload_workers"),
        ("UPLOADER_WORKERS", "0", "jobs.upload_workers"),
        ("TRANSCODING_WORKERS", "0", "jobs.transcoding_workers"),
        ("RECORDER__RENDITIONS", "[{ kind = \"gif\" }]", "renditions"),
        ("RECORDER__SEGMENTS__INTERVAL", "500ms", "segments.interval"),
        ("RECORDER__SEGMENTS__INTERVAL", "2h", "segments.interval"),
        ("RECORDER__RETENTION", "[{ rendition = \"mp3\" }]", "retention"),
        ("RECORDER__HTTP__PUBLIC_URL", "recorder.example", "http.public_url"),
        ("BIND_ADDRESS", "nowhere", "grpc.listen"),
        ("LOG_LVL", "loud", "log.level"),
        ("LOG_JSON", "maybe", "log.json"),
        ("ID", "a/b", "node.id"),
        ("DATA_SOURCE", "mysql://u:p@db/rec", "store.url"),
        ("RECORDER__WEBRTC__LISTEN_IPS", "10.0.0.1,10.0.0.256", "webrtc.listen_ips"),
        ("RECORDER__WEBRTC__CODECS", "", "webrtc.codecs"),
        ("RECORDER__SPOOL__WRITERS", "0", "spool.writers"),
        ("RECORDER__SPOOL__WRITERS", "1000000000", "spool.writers"),
        ("RECORDER__SPOOL__DIRECTORY", "", "spool.directory"),
        ("RECORDER__SPOOL__STALL_TIMEOUT", "0", "spool.stall_timeout"),
        ("RECORDER__LIMITS__SESSIONS", "0", "limits.sessions"),
        ("RECORDER__LIMITS__SESSIONS", "18446744073709551615", "limits.sessions"),
        ("RECORDER__STORE__MAX_CONNECTIONS", "0", "store.max_connections"),
        ("RECORDER__NODE__HEARTBEAT", "0", "node.heartbeat"),
        ("RECORDER__NODE__LOST_AFTER", "10s", "node.lost_after"),
        ("RECORDER__JOBS__LEASE", "0s", "jobs.lease"),
        ("RECORDER__GRPC__MAX_MESSAGE_BYTES", "256KiB", "grpc.max_message_bytes"),
        ("RECORDER__TLS__KEY", "/key.pem", "tls.key"),
        ("RECORDER__SHUTDOWN__TIMEOUT", "9000000000000h", "shutdown.timeout"),
    ] {
        let refused = refusal(&[(name, value)]);
        assert!(refused.starts_with(&format!("{key} (environment {name}): ")), "{refused}");
    }
}

#[test]
fn a_bad_entry_of_a_list_of_tables_is_named_by_its_number() {
    for (text, want) in [
        ("[[renditions]]\nkind = \"mp3\"\n[[renditions]]\nkind = \"gif\"\n", "renditions"),
        ("[[retention]]\nafter = \"1h\"\n[[retention]]\nafter = \"0s\"\n", "retention"),
    ] {
        let (_directory, sources) = file(text);
        let refused = Config::load(&sources).unwrap_err().to_string();
        assert!(refused.starts_with(want) && refused.contains("): entry 2: "), "{refused}");
    }
}

#[test]
fn rules_of_retention_are_read_and_bad_ones_refused() {
    let rule = |text: &str| {
        let rules = format!("[{text}]");
        Config::load(&environment(&[("RECORDER__RETENTION", &rules)]))
            .map(|mut config| config.retention.remove(0))
    };
    let read = rule("{ tenant = \"acme\", rendition = \"mp3\", after = \"720h\" }").unwrap();
    assert_eq!(read.after.0, Duration::from_secs(720 * 3600));
    assert_eq!(
        (read.tenant.unwrap().as_str(), read.rendition),
        ("acme", Some(transcode::RenditionKind::Mp3))
    );
    for (text, want) in [
        ("\"720h\"", "a table"),
        ("{ tenant = \"acme\" }", "after"),
        ("{ after = \"soon\" }", "soon"),
        ("{ after = \"0s\" }", "would delete everything"),
        ("{ after = \"1h\", rendition = \"gif\" }", "one of `mp4`"),
        ("{ after = \"1h\", kind = \"mp4\" }", "kind"),
        ("{ after = \"1h\", tenant = \"a/b\" }", "tenant"),
    ] {
        let refused = rule(text).unwrap_err().to_string();
        assert!(refused.starts_with("retention (") && refused.contains(want), "{text}: {refused}");
    }
}

#[test]
fn every_example_of_a_rendition_in_the_documentation_loads_and_reads_back() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/renditions.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let mut kinds = std::collections::BTreeSet::new();
    for block in blocks {
        let (_directory, sources) = file(block);
        let config = Config::load(&sources).unwrap();
        kinds.extend(config.renditions.iter().map(|default| default.rendition.kind().name()));
        let (_directory, printed) = file(&config.print());
        assert_eq!(Config::load(&printed).unwrap().renditions, config.renditions);
    }
    assert_eq!(kinds.len(), transcode::RenditionKind::ALL.len(), "{kinds:?}");
}

#[test]
fn every_bad_value_is_reported_at_once() {
    let refused = refusal(&[("LOG_LVL", "loud"), ("LOG_JSON", "maybe")]);
    assert_eq!(refused.lines().count(), 2, "{refused}");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let (_directory, sources) = file("[grpc]\n\nlisen = \"localhost:1\"\n");
    let refused = Config::load(&sources).unwrap_err().to_string();
    assert!(
        refused.contains("recorder.toml:3") && refused.contains("did you mean grpc.listen?"),
        "{refused}"
    );
    let (_directory, sources) = file("[nothing]\nlike = \"it\"\n");
    assert!(Config::load(&sources).unwrap_err().to_string().contains("unknown key"));
    assert!(refusal(&[("RECORDER__GRPC__LISEN", "x")]).contains("did you mean grpc.listen?"));
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_line() {
    let (_directory, sources) = file("[grpc]\nlisten = \n");
    let refused = Config::load(&sources).unwrap_err().to_string();
    assert!(refused.contains("recorder.toml:2"), "{refused}");
    let missing = Sources { file: Some(PathBuf::from("/no/such.toml")), ..environment(&[]) };
    assert!(Config::load(&missing).unwrap_err().to_string().contains("/no/such.toml"));
}

#[test]
fn it_does_not_listen_beyond_loopback_without_authentication() {
    for name in ["BIND_ADDRESS", "RECORDER__HTTP__LISTEN"] {
        for value in ["0.0.0.0:50099", ":50099", "[::]:50099", "192.0.2.1:50099"] {
            let refused = refusal(&[(name, value)]);
            assert!(refused.contains("without authentication"), "{name}={value}: {refused}");
        }
        load(&[(name, "0.0.0.0:50099"), ("RECORDER__INSECURE", "true")]);
        load(&[(name, "0.0.0.0:50099"), ("RECORDER__AUTH__TOKENS", TOKENS)]);
        load(&[(name, "[::1]:50099")]);
    }
}

const TOKENS: &str = r#"[{ tenant = "acme", role = "recorder", name = "pbx", sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" }]"#;

#[test]
fn tokens_are_read_from_the_file_and_from_the_environment() {
    let text = TOKENS.trim_matches(['[', ']']);
    let (_directory, sources) = file(&format!("[auth]\ntokens = [{text}]\n"));
    for config in [Config::load(&sources).unwrap(), load(&[("RECORDER__AUTH__TOKENS", TOKENS)])] {
        let [token] = config.auth.tokens.as_slice() else { panic!("one token") };
        assert_eq!((token.tenant.as_str(), token.role, token.name.as_str()), ("acme", Role::Recorder, "pbx"));
        assert_eq!(token.sha256[..2], [0x2c, 0x26]);
    }
    for bad in [r#"[{ role = "king" }]"#, r#"[{ role = "admin", sha256 = "00" }]"#, r#"[{ token = "x" }]"#] {
        assert!(refusal(&[("RECORDER__AUTH__TOKENS", bad)]).starts_with("auth.tokens"));
    }
}

#[test]
fn no_secret_is_printed_debugged_or_quoted_in_an_error() {
    let secrets = [
        ("DATA_SOURCE", "postgres://user:hunter2@db/rec?password=hunter2"),
        ("RECORDER__BLOB__S3__BUCKET", "b"),
        ("RECORDER__BLOB__S3__ACCESS_KEY", "hunter2"),
        ("RECORDER__BLOB__S3__SECRET_KEY", "hunter2"),
        ("RECORDER__AUTH__TOKENS", TOKENS),
    ];
    let config = load(&secrets);
    for shown in [config.print(), format!("{config:?}"), format!("{:?}", config.blob)] {
        assert!(!shown.contains("hunter2") && !shown.contains("2c26b46b"), "{shown}");
        assert!(shown.contains("***"), "{shown}");
    }
    for (name, value) in [
        ("DATA_SOURCE", "mysql://user:hunter2@db/rec"),
        ("DATA_SOURCE", "host=db password=hunter2"),
        ("RECORDER__BLOB__S3__SECRET_KEY", "hunter2"),
        ("RECORDER__AUTH__TOKENS", "hunter2"),
        ("RECORDER__AUTH__TOKENS", "[{ role = \"admin\", sha256 = \"hunter2\" }]"),
    ] {
        assert!(!refusal(&[(name, value)]).contains("hunter2"), "{name}");
    }
    let (_directory, sources) = file("[blob.s3]\nsecret_key = \"hunter2\" garbage\n");
    assert!(!Config::load(&sources).unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn settings_of_s3_without_a_bucket_are_refused() {
    for (name, value, key) in [
        ("RECORDER__BLOB__S3__ENDPOINT", "http://minio:9000", "blob.s3.endpoint"),
        ("RECORDER__BLOB__S3__REGION", "eu-central-1", "blob.s3.region"),
        ("RECORDER__BLOB__S3__PATH_STYLE", "true", "blob.s3.path_style"),
        ("RECORDER__BLOB__S3__CHECKSUM", "true", "blob.s3.checksum"),
        ("RECORDER__BLOB__S3__BYTES_PER_SECOND", "1MB", "blob.s3.bytes_per_second"),
    ] {
        let refused = refusal(&[(name, value)]);
        assert!(
            refused.starts_with(&format!("{key} (environment {name}): has no effect without")),
            "{refused}"
        );
        load(&[(name, value), ("RECORDER__BLOB__S3__BUCKET", "recordings")]);
    }
    // As `config check` prints it.
    load(&[("RECORDER__BLOB__S3__REGION", "us-east-1"), ("RECORDER__BLOB__S3__BUCKET", "")]);
}

#[test]
fn a_password_with_an_at_sign_in_it_is_hidden_too() {
    let config = load(&[("DATA_SOURCE", "postgres://user:hun@ter2@db/rec")]);
    assert_eq!(config.store.url.redacted(), "postgres://user:***@db/rec");
}

#[test]
fn what_config_check_prints_is_toml_that_loads() {
    let (_directory, sources) = file(&load(&[]).print());
    let again = Config::load(&sources).unwrap();
    assert_eq!(again.limits.sessions, Config::default().limits.sessions);
    assert_eq!(again.webrtc.ice_failed_timeout.0, Duration::from_secs(35));
}

#[test]
fn config_check_prints_the_number_of_concurrent_renders() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    assert!(load(&[]).print().contains(&format!("transcoding_workers = {cores}  # default\n")));
    assert!(load(&[("TRANSCODING_WORKERS", "7")]).print().contains("transcoding_workers = 7  # environment"));
}

#[test]
fn loopback_is_a_media_address_only_while_grpc_listens_there() {
    let loopback = |config: &Config| {
        let capture = config.capture(NodeId::default()).unwrap();
        capture.webrtc.listen_ips.iter().any(std::net::IpAddr::is_loopback)
    };
    assert!(loopback(&load(&[])));
    assert!(!loopback(&load(&[("BIND_ADDRESS", "0.0.0.0:50011"), ("RECORDER__INSECURE", "true")])));
    let given = load(&[("RECORDER__WEBRTC__LISTEN_IPS", "192.0.2.1, 2001:db8::1")]);
    assert_eq!(given.capture(NodeId::default()).unwrap().webrtc.listen_ips.len(), 2);
}

#[test]
fn the_configuration_reference_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == reference(),
        "docs/configuration.md: run `webrtc-recorder config reference > docs/configuration.md`"
    );
}

#[test]
fn two_purposes_can_not_share_a_directory_under_any_name() {
    let root = tempfile::tempdir().unwrap();
    let (spool, link) = (root.path().join("spool"), root.path().join("link"));
    std::fs::create_dir(&spool).unwrap();
    std::os::unix::fs::symlink(&spool, &link).unwrap();
    let text = |path: std::path::PathBuf| path.display().to_string();
    let result = |key: &'static str, directory: &str| {
        let spool = text(spool.clone());
        let variables = [("RECORDER__SPOOL__DIRECTORY", spool.as_str()), (key, directory)];
        Config::load(&environment(&variables)).map(drop).map_err(|error| error.to_string())
    };
    for key in ["RECORDER__JOBS__WORK_DIRECTORY", "RECORDER__SEGMENTS__DIRECTORY"] {
        for directory in [spool.clone(), link.clone(), spool.join(".")] {
            let refused = result(key, &text(directory)).unwrap_err();
            assert!(refused.contains("is the directory of spool.directory, too"), "{refused}");
        }
        for fine in [spool.join("work"), root.path().join("missing")] {
            assert_eq!(result(key, &text(fine)), Ok(()));
        }
    }
    let twice = [("RECORDER__JOBS__WORK_DIRECTORY", "/new"), ("RECORDER__SEGMENTS__DIRECTORY", "/new")];
    let refused = Config::load(&environment(&twice)).unwrap_err().to_string();
    assert!(
        refused.contains("segments.directory") && refused.contains("jobs.work_directory, too"),
        "{refused}"
    );
}

#[test]
fn a_secret_is_read_from_the_file_that_a_variable_names() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "postgres://u:hunter2@db/rec\n").unwrap();
    let config = load(&[("DATA_SOURCE_FILE", file.path().to_str().unwrap())]);
    assert_eq!(config.store.url, StoreUrl::Postgres(Secret::new("postgres://u:hunter2@db/rec")));
    assert_eq!(config.origin("store.url").to_string(), "environment DATA_SOURCE_FILE");
    std::fs::write(file.path(), TOKENS).unwrap();
    assert_eq!(load(&[("RECORDER__AUTH__TOKENS_FILE", file.path().to_str().unwrap())]).auth.tokens.len(), 1);
}

#[test]
fn tokens_that_are_printed_do_not_read_back_as_others() {
    let (_directory, sources) = file(&load(&[("RECORDER__AUTH__TOKENS", TOKENS)]).print());
    let refused = Config::load(&sources).unwrap_err().to_string();
    assert!(refused.contains("entry 1, sha256: has to be the token's SHA-256"), "{refused}");
}
