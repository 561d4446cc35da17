//! `examples/record.py`, which the README gives to newcomers who have no browser at hand.

mod support;

use std::{path::Path, process::Stdio, time::Duration};

use support::{config, object, ok, start};
use testkit::verify::{decode_strictly, probe, seek_everywhere};
use tokio::{process::Command, time::timeout};

#[tokio::test]
async fn the_readmes_demo_records_three_seconds_of_picture_and_tone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join(".tools/venv/bin/python");
    assert!(python.exists(), "{} is missing: run ./dev tools", python.display());
    let recorder = start(config()).await;
    let demo = Command::new(python)
        .arg(root.join("examples/record.py"))
        .args(["--seconds", "3", "--url", &format!("http://{}", recorder.http())])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = ok(ok(timeout(Duration::from_secs(60), demo).await, "the demo's end"), "the demo");
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{errors}");
    let id = printed.split_whitespace().nth(1).unwrap_or_default();
    let file = object(&recorder, id).await;
    let probed = ok(probe(&file), "the headers");
    assert_eq!((probed.codecs("video"), probed.codecs("audio")), (vec!["vp8"], vec!["opus"]));
    let duration = probed.duration().unwrap_or_default();
    assert!((2.0..6.0).contains(&duration), "{duration} s of 3 s");
    ok(decode_strictly(&file), "strict decoding");
    ok(seek_everywhere(&file, 5, 1), "seeking");
}

#[tokio::test]
async fn the_demo_says_that_no_recorder_answers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let demo = Command::new(root.join(".tools/venv/bin/python"))
        .arg(root.join("examples/record.py"))
        // Port 1 is reserved (IANA): nothing listens there.
        .args(["--url", "http://127.0.0.1:1"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = ok(ok(timeout(Duration::from_secs(60), demo).await, "the demo's end"), "the demo");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("no recorder answers on http://127.0.0.1:1"), "{errors}");
    assert!(errors.contains("./dev run"), "{errors}");
}
