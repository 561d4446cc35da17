//! The header that names the file under which a browser saves a download.

use std::fmt::Write as _;

/// The longest file name in characters; longer ones are cut.
const MAX_CHARS: usize = 200;

/// `Content-Disposition: attachment` with a file name (RFC 6266 §4), safe for any text: control characters are removed, path
/// separators become `_`, and a name that is not plain ASCII is added percent-encoded as `filename*` (RFC 8187 §3.2).
#[must_use]
pub fn attachment(file_name: &str) -> String {
    let name: String = file_name
        .chars()
        .filter(|c| !c.is_control())
        .map(|c| if matches!(c, '/' | '\\') { '_' } else { c })
        .take(MAX_CHARS)
        .collect();
    let plain: String = name.chars().map(|c| if c.is_ascii() && c != '"' { c } else { '_' }).collect();
    let mut header = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        header.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                header.push(char::from(byte));
            } else {
                // Writing into a String does not fail.
                let _ = write!(header, "%{byte:02X}");
            }
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_a_valid_header() {
        for (name, header) in [
            ("visit 7.webm", r#"attachment; filename="visit 7.webm""#),
            ("../../etc/passwd", r#"attachment; filename=".._.._etc_passwd""#),
            ("a\r\nSet-Cookie: b.mp3", r#"attachment; filename="aSet-Cookie: b.mp3""#),
            ("\"q\".mp3", r#"attachment; filename="_q_.mp3"; filename*=UTF-8''%22q%22.mp3"#),
            ("ü🎙.wav", r#"attachment; filename="__.wav"; filename*=UTF-8''%C3%BC%F0%9F%8E%99.wav"#),
        ] {
            assert_eq!(attachment(name), header);
        }
        assert!(attachment(&"ü".repeat(5000)).len() < 2000);
    }
}
