use std::io::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::*;

/// A service with a section of each kind.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Service {
    /// Listen beyond loopback without authentication.
    insecure: bool,
    store: Store,
    capture: Capture,
    auth: Auth,
    /// Files derived from every recording.
    renditions: Vec<Rendition>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Capture {
    /// Live sessions.
    #[schemars(range(min = 1, max = 1000))]
    sessions: u32,
    /// Accepted codecs, best first.
    #[schemars(extend("env" = "WEBRTC_CODECS"))]
    codecs: Vec<String>,
    /// Time from the offer to the first media.
    connect_timeout: Duration,
    /// Bytes of one session that may wait for the disk.
    max_waiting: ByteSize,
    /// Not a key.
    #[serde(skip)]
    retries: u32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Store {
    s3: S3,
    /// The database: `postgres://user:password@host/name`, or the path of an SQLite file.
    #[schemars(extend("env" = "DATA_SOURCE", "default_text" = "`<data_dir>/recorder.db`"))]
    url: Option<Secret>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct S3 {
    /// The bucket.
    bucket: Option<String>,
    /// The secret key.
    secret_key: Option<Secret>,
    /// Uploads at a time.
    #[schemars(extend("env" = "UPLOADER_WORKERS"))]
    workers: u32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Auth {
    /// Tokens of callers.
    #[schemars(extend("writeOnly" = true))]
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Token {
    role: Role,
    sha256: Secret,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Role {
    Viewer,
    Admin,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Rendition {
    Mp3 {},
    Mp4 { height: Option<u32> },
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            sessions: 500,
            codecs: vec!["VP8".to_owned(), "opus".to_owned()],
            connect_timeout: Duration::from_secs(30),
            max_waiting: ByteSize(32 << 20),
            retries: 7,
        }
    }
}

impl Default for S3 {
    fn default() -> Self {
        Self { bucket: None, secret_key: None, workers: 4 }
    }
}

impl Settings for Service {
    fn complete(&mut self, sources: &Sources, origins: &Origins) {
        if !origins.is_set("store.url") {
            self.store.url = sources.variable("HOME").map(|home| Secret::new(format!("{home}/recorder.db")));
        }
    }

    fn faults(&self) -> Vec<Fault> {
        if self.store.s3.bucket.is_some() {
            return Vec::new();
        }
        let faults =
            changed(&self.store.s3).into_iter().map(|key| Fault::new(key, "has no effect without a bucket"));
        faults.map(|fault| fault.within("store.s3")).collect()
    }
}

/// The settings from a file's text, variables and flags, or every problem, with `FILE` for the file's name.
fn read(
    toml: &str,
    variables: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<(Service, Origins), String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let flag = |flag| {
        let (key, value) = pair(flag);
        Flag { flag: "--set".to_owned(), key, value }
    };
    let sources = Sources {
        file: Some(file.path().to_owned()),
        environment: variables.iter().map(pair).collect(),
        flags: flags.iter().map(flag).collect(),
    };
    load(&sources).map_err(|problems| problems.to_string().replace(file.path().to_str().unwrap(), "FILE"))
}

fn refusal(toml: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    read(toml, variables, flags).unwrap_err()
}

#[test]
fn a_later_layer_overrides_an_earlier_one_and_origins_say_which() {
    let toml = "[capture]\nsessions = 1\n";
    let sessions = |variables: &[(&str, &str)], flags: &[(&str, &str)]| {
        let (service, origins) = read(toml, variables, flags).unwrap();
        (service.capture.sessions, origins.of("capture.sessions").to_string())
    };
    let (value, origin) = sessions(&[], &[]);
    assert!(value == 1 && origin.ends_with(":2"), "{origin}");
    let variable = ("RECORDER__CAPTURE__SESSIONS", "2");
    assert_eq!(sessions(&[variable], &[]), (2, "environment RECORDER__CAPTURE__SESSIONS".to_owned()));
    assert_eq!(sessions(&[variable], &[("capture.sessions", "3")]), (3, "flag --set".to_owned()));
    let (service, origins) = read("", &[], &[]).unwrap();
    assert_eq!((service.capture.sessions, origins.of("capture.sessions")), (500, Origin::Default));
}

#[test]
fn the_variable_by_rule_overrides_the_older_name() {
    let workers = |variables: &[_]| {
        let (service, origins) = read("[store.s3]\nbucket = 'b'\n", variables, &[]).unwrap();
        (service.store.s3.workers, origins.of("store.s3.workers").to_string())
    };
    let old = ("UPLOADER_WORKERS", "7");
    assert_eq!(workers(&[old]), (7, "environment UPLOADER_WORKERS".to_owned()));
    assert_eq!(workers(&[old, ("RECORDER__STORE__S3__WORKERS", "8")]).0, 8);
    assert_eq!(workers(&[("UPLOADER_WORKERS", "")]), (4, "default".to_owned()));
}

#[test]
fn every_problem_is_reported_at_once_with_key_and_origin() {
    let toml = "\
[capture]
sessions = 2.7

[store]
urll = 'hunter2'

[nothing]
like = 1

[[auth.tokens]]
role = 'admin'
sha256 = 'hunter2'

[[auth.tokens]]
role = 'king'
sha256 = 'hunter2'

[[auth.tokens]]
role = 'admin'
sha265 = 'hunter2'

[[auth.tokens]]
role = 'admin'

[[renditions]]
kind = 'mp4'
height = 'tall'
";
    let variables = [
        ("UPLOADER_WORKERS", "yes"),
        ("RECORDER__INSECURE", "maybe"),
        ("RECORDER__STORE__S3__BUCKT", "b"),
        ("RECORDER__CAPTURE", "x"),
    ];
    let flags = [
        ("capture.connect_timeout", "5"),
        ("capture.max_waitin", "1"),
        ("capture.codecs", "[['VP8'], 'opus']"),
    ];
    let want = r#"nothing (FILE:7): unknown key
store.urll (FILE:5): unknown key; did you mean store.url?
capture (environment RECORDER__CAPTURE): is a section, not a key
store.s3.buckt (environment RECORDER__STORE__S3__BUCKT): unknown key; did you mean store.s3.bucket?
capture.max_waitin (flag --set): unknown key; did you mean capture.max_waiting?
insecure (environment RECORDER__INSECURE): "maybe" is not true or false
store.s3.workers (environment UPLOADER_WORKERS): "yes" is not a whole number
capture.sessions (FILE:2): "2.7" is not a whole number
capture.codecs (flag --set): entry 1: a single value is expected, not a list or table
capture.connect_timeout (flag --set): "5" is no duration such as 5s, 1m30s or 500ms
auth.tokens (FILE:15): entry 2, role: unknown variant `king`, expected `viewer` or `admin`
auth.tokens (FILE:20): entry 3, sha265: unknown field `sha265`, expected `role` or `sha256`
auth.tokens (FILE:22): entry 4: missing field `sha256`
renditions (FILE:25): entry 1: invalid type: string "tall", expected u32"#;
    assert_eq!(refusal(toml, &variables, &flags), want);
}

#[test]
fn faults_are_reported_once_all_values_are_well_formed() {
    let toml = "[store.s3]\nworkers = 9\nsecret_key = 'hunter2'\n";
    let want = "\
store.s3.secret_key (FILE:3): has no effect without a bucket
store.s3.workers (FILE:2): has no effect without a bucket";
    assert_eq!(refusal(toml, &[], &[]), want);
    assert!(!refusal(toml, &[("RECORDER__INSECURE", "maybe")], &[]).contains("no effect"));
    // `print` writes every key: what has its default is no fault.
    read("[store.s3]\nworkers = 4\n", &[], &[("store.s3.bucket", "")]).unwrap();
}

#[test]
fn numbers_are_bounded_as_their_field_says() {
    let sessions =
        |text| read("", &[], &[("capture.sessions", text)]).map(|(service, _)| service.capture.sessions);
    assert_eq!(sessions("1000"), Ok(1000));
    assert_eq!(sessions("0"), Err("capture.sessions (flag --set): has to be 1 or more".to_owned()));
    assert_eq!(sessions("1001"), Err("capture.sessions (flag --set): has to be 1000 or less".to_owned()));
    for text in ["", "-1", "1e2", "99999999999999999999", "0x10"] {
        assert!(sessions(text).is_err(), "{text}");
    }
    assert_eq!(read("[capture]\nsessions = 0x10\n", &[], &[]).unwrap().0.capture.sessions, 16);
}

#[test]
fn fields_that_are_no_keys_retain_their_default() {
    assert_eq!(read("", &[], &[("capture.sessions", "1")]).unwrap().0.capture.retries, 7);
    assert!(refusal("[capture]\nretries = 1\n", &[], &[]).contains("unknown key"));
}

#[test]
fn secrets_are_never_shown() {
    let toml = "\
[store.s3]
bucket = 'b'
secret_key = 'hunter2'
[[auth.tokens]]
role = 'admin'
sha256 = 'hunter2'
";
    let (service, origins) = read(toml, &[("DATA_SOURCE", "postgres://u:hunter2@db/x")], &[]).unwrap();
    assert_eq!(service.store.url.as_ref().unwrap().reveal(), "postgres://u:hunter2@db/x");
    for shown in [print(&service, &origins), format!("{service:?}")] {
        assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
    }
    for (toml, variable) in [
        ("[store.s3]\nsecret_key = ['hunter2']\n", ""),
        ("[store.s3]\nsecret_key = { hunter2 = 'hunter2' }\n", ""),
        ("[store.s3]\nsecret_key = 'hunter2' garbage\n", ""),
        ("[auth]\ntokens = 'hunter2'\n", ""),
        ("", "hunter2"),
        ("", "[hunter2]"),
        ("", "['hunter2', 5]"),
    ] {
        let variables: &[_] = if variable.is_empty() { &[] } else { &[("RECORDER__AUTH__TOKENS", variable)] };
        let refused = refusal(toml, variables, &[]);
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_secret_is_read_from_the_file_that_a_variable_names() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[hunter2]\n").unwrap();
    let path = &file.path().to_str().unwrap().to_owned();
    for variable in ["DATA_SOURCE_FILE", "RECORDER__STORE__URL_FILE"] {
        let (service, origins) = read("", &[(variable, path)], &[]).unwrap();
        assert_eq!(service.store.url.unwrap().reveal(), "[hunter2]");
        assert_eq!(origins.of("store.url").to_string(), format!("environment {variable}"));
    }
    assert_eq!(
        refusal("", &[("DATA_SOURCE_FILE", path), ("DATA_SOURCE", "x")], &[]),
        "store.url (environment DATA_SOURCE_FILE): DATA_SOURCE is set too"
    );
    assert!(refusal("", &[("DATA_SOURCE_FILE", "no/such")], &[]).contains("No such file"));
    // Only secrets have such a variable.
    assert!(refusal("", &[("RECORDER__CAPTURE__SESSIONS_FILE", path)], &[]).contains("unknown key"));
    file.write_all(&vec![b'a'; 2 << 20]).unwrap();
    assert!(refusal("", &[("DATA_SOURCE_FILE", path)], &[]).ends_with("larger than 1MiB"));
}

#[test]
fn lists_and_lists_of_tables_are_read_from_every_source() {
    let codecs = |toml: &str, variables: &[_]| read(toml, variables, &[]).unwrap().0.capture.codecs;
    assert_eq!(codecs("[capture]\ncodecs = ['VP9', 'opus']\n", &[]), ["VP9", "opus"]);
    assert_eq!(codecs("[capture]\ncodecs = 'VP9, opus'\n", &[]), ["VP9", "opus"]);
    assert_eq!(codecs("", &[("WEBRTC_CODECS", "VP9, opus,")]), ["VP9", "opus"]);
    assert_eq!(codecs("", &[("WEBRTC_CODECS", "['VP9', 'opus']")]), ["VP9", "opus"]);
    assert!(codecs("", &[("RECORDER__CAPTURE__CODECS", "")]).is_empty());
    let inline = "[{ kind = 'mp3' }, { kind = 'mp4', height = 720 }]";
    let tables = "[[renditions]]\nkind = 'mp3'\n[[renditions]]\nkind = 'mp4'\nheight = 720\n";
    let want = [Rendition::Mp3 {}, Rendition::Mp4 { height: Some(720) }];
    for (service, _) in [read(tables, &[], &[]).unwrap(), read("", &[], &[("renditions", inline)]).unwrap()] {
        assert_eq!(service.renditions, want);
    }
    let token = "[{ role = 'admin', sha256 = 'x' }]";
    assert_eq!(read("", &[("RECORDER__AUTH__TOKENS", token)], &[]).unwrap().0.auth.tokens.len(), 1);
}

#[test]
fn a_name_with_an_index_is_no_key() {
    let huge = "renditions[400000000]";
    for refused in [
        refusal(&format!("\"{huge}\" = 1\n"), &[], &[]),
        refusal("", &[("RECORDER__RENDITIONS[400000000]", "1")], &[]),
        refusal("", &[], &[(huge, "1")]),
    ] {
        assert!(refused.starts_with(huge) && refused.ends_with("unknown key"), "{refused}");
    }
}

#[test]
fn a_file_that_can_not_be_read_is_refused() {
    assert_eq!(refusal("[capture]\nsessions =\n", &[], &[]).lines().count(), 1);
    assert!(refusal("[capture]\nsessions =\n", &[], &[]).starts_with("configuration file (FILE:2): "));
    assert!(refusal(&"#\n".repeat(1 << 20), &[], &[]).ends_with("larger than 1MiB"));
    let sources = Sources { file: Some("/no/such.toml".into()), ..Sources::default() };
    assert!(load::<Service>(&sources).unwrap_err().to_string().contains("(/no/such.toml): No such file"));
    let long = format!("{} = 1\n", "a".repeat(200_000));
    assert!(refusal(&long, &[], &[]).ends_with("unknown key"));
}

#[test]
fn what_is_printed_reads_back() {
    let flags = [
        ("capture.connect_timeout", "1m30.5s"),
        ("capture.max_waiting", "8000001"),
        ("renditions", "[{kind='mp3'}]"),
    ];
    let (service, origins) = read("", &[("HOME", "/home/user")], &flags).unwrap();
    let printed = print(&service, &origins);
    assert!(printed.contains("connect_timeout = \"1m30s500ms\"  # flag --set"), "{printed}");
    assert!(
        printed.starts_with("insecure = false  # default\nrenditions = [{ kind = \"mp3\" }]  # flag"),
        "{printed}"
    );
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  # ").next().unwrap().to_owned()).collect()
    };
    let (again, origins) = read(&printed, &[], &[]).unwrap();
    assert_eq!(values(&print(&again, &origins)), values(&printed));
}

#[test]
fn values_that_depend_on_others_are_completed_unless_set() {
    let url = |variables: &[_]| read("", variables, &[]).unwrap().0.store.url.unwrap().reveal().to_owned();
    let home = ("HOME", "/home/user");
    assert_eq!(url(&[home]), "/home/user/recorder.db");
    assert_eq!(url(&[home, ("DATA_SOURCE", "x")]), "x");
}

#[test]
fn the_reference_lists_all_keys_in_the_order_of_the_fields() {
    let page = reference::<Service>();
    let names: Vec<&str> = page.lines().skip(2).map(|line| line.split('`').nth(1).unwrap()).collect();
    let want = [
        "insecure",
        "store.s3.bucket",
        "store.s3.secret_key",
        "store.s3.workers",
        "store.url",
        "capture.sessions",
        "capture.codecs",
        "capture.connect_timeout",
        "capture.max_waiting",
        "auth.tokens",
        "renditions",
    ];
    assert_eq!(names, want);
    for line in [
        "| `capture.max_waiting` | `RECORDER__CAPTURE__MAX_WAITING` | `\"32MiB\"` | Bytes of one session that may wait for the disk. |\n",
        "| `store.url` | `RECORDER__STORE__URL`, `DATA_SOURCE` | `<data_dir>/recorder.db` | The database: `postgres://user:password@host/name`, or the path of an SQLite file. Secret. |\n",
        "| `store.s3.bucket` | `RECORDER__STORE__S3__BUCKET` | `\"\"` | The bucket. |\n",
    ] {
        assert!(page.contains(line), "{page}");
    }
    assert_eq!(older_names::<Service>().len(), 3);
}

#[test]
fn durations_are_read_as_go_reads_them() {
    let read = |text: &str| Duration::try_from(text.to_owned());
    let rows = [
        ("5s", 5_000_000),
        ("1m30s", 90_000_000),
        ("500ms", 500_000),
        ("1.5h", 5_400_000_000),
        ("0", 0),
        ("0s", 0),
        ("2h45m", 9_900_000_000),
        ("3us", 3),
        ("3µs", 3),
        (" 5s ", 5_000_000),
    ];
    for (text, microseconds) in rows {
        assert_eq!(read(text), Ok(Duration(std::time::Duration::from_micros(microseconds))), "{text}");
    }
    let bad =
        ["", "5", "s", "-5s", "5 s", "5x", "1..5s", "1e3s", "99999999999999999999h", "5s garbage", "1M"];
    for text in bad.into_iter().chain(["1000000h", "106751991167300h"]) {
        assert!(read(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_duration_reads_back_as_it_was_written() {
    for milliseconds in [0, 5, 500, 1_000, 90_000, 5_400_001, 86_400_000] {
        let duration = Duration::from_millis(milliseconds);
        assert_eq!(Duration::try_from(String::from(duration)), Ok(duration));
    }
    for (seconds, text) in [(0, "0s"), (90, "1m30s"), (21_600, "6h"), (86_400, "24h")] {
        assert_eq!(String::from(Duration::from_secs(seconds)), text);
    }
}

#[test]
fn sizes_are_read_with_and_without_a_unit() {
    let read = |text: &str| ByteSize::try_from(text.to_owned());
    let rows = [
        ("65536", 65_536),
        ("256KiB", 262_144),
        ("8 MB", 8_000_000),
        ("1g", 1 << 30),
        ("2TiB", 2 << 40),
        ("0", 0),
    ];
    for (text, bytes) in rows {
        assert_eq!(read(text), Ok(ByteSize(bytes)), "{text}");
    }
    for text in ["", "KiB", "-1", "1.5MB", "99999999999999TiB", "5 parsecs"] {
        assert!(read(text).is_err(), "{text:?}");
    }
    for (bytes, text) in [(8 << 20, "8MiB"), (0, "0"), (8_000_001, "8000001"), (3 << 40, "3TiB")] {
        assert_eq!(String::from(ByteSize(bytes)), text);
    }
}
