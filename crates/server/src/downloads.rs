//! Signed download links with an expiry, for objects on this machine's disk.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use hmac::{Hmac, Mac as _};
use model::{RecordingId, RenditionId, TenantId};
use sha2::Sha256;

use crate::private_file;

/// The path of the links, below the base URL.
pub(crate) const PATH: &str = "/download";

const KEY_BYTES: usize = 32;

/// The object of a link, and its expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) tenant: TenantId,
    pub(crate) recording: RecordingId,
    /// None for the recording itself.
    pub(crate) rendition: Option<RenditionId>,
    /// The name that a browser saves the file under. Any text.
    pub(crate) file_name: String,
    /// Seconds since 1970.
    pub(crate) expires: i64,
}

/// Signs links and verifies them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Downloads {
    key: Arc<[u8; KEY_BYTES]>,
    base: Arc<str>,
}

impl Downloads {
    /// Reads the key from the file, so that links stay valid after a restart. The first start generates it. `base` is scheme,
    /// host and port.
    pub(crate) fn open(key_file: &Path, base: &str) -> io::Result<Self> {
        let key = match fs::File::open(key_file) {
            Ok(file) => read_key(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => generate_key(key_file)?,
            Err(error) => return Err(error),
        };
        Ok(Self { key: Arc::new(key), base: base.trim_end_matches('/').into() })
    }

    /// The URL of a link.
    pub(crate) fn url(&self, link: &Link) -> String {
        let Link { tenant, recording, rendition, file_name, expires } = link;
        let rendition = rendition.map(|id| format!("&rendition={id}")).unwrap_or_default();
        let signature: String =
            self.mac(link).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let name = encoded(file_name);
        let base = &self.base;
        format!(
            "{base}{PATH}/{recording}/{name}?tenant={tenant}&expires={expires}{rendition}&signature={signature}"
        )
    }

    /// Whether the signature is valid. Compares in constant time.
    pub(crate) fn is_valid(&self, link: &Link, signature: &str) -> bool {
        let Some(signature) = bytes_of(signature) else { return false };
        self.mac(link).verify_slice(&signature).is_ok()
    }

    fn mac(&self, link: &Link) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("HMAC takes a key of any length");
        let Link { tenant, recording, rendition, file_name, expires } = link;
        // The name comes last: only it can contain a line feed.
        let rendition = rendition.map(|id| id.to_string()).unwrap_or_default();
        mac.update(format!("{tenant}\n{recording}\n{rendition}\n{expires}\n{file_name}").as_bytes());
        mac
    }
}

fn read_key(file: fs::File) -> io::Result<[u8; KEY_BYTES]> {
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text)?;
    let key = bytes_of(text.trim()).and_then(|key| key.try_into().ok());
    key.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the file contains no key of 64 hexadecimal digits")
    })
}

fn generate_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let key: [u8; KEY_BYTES] = rand::random();
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    private_file::write_line(path, &text)?;
    Ok(key)
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if hex.len() > 1024 || !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    let pairs = hex.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Percent-encodes a name as one segment of a path (RFC 3986 §2.1).
fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric()
            || b"-_~".contains(&byte)
            || (byte == b'.' && !name.trim_matches('.').is_empty())
        {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link {
            tenant: TenantId::default(),
            recording: RecordingId::new(),
            rendition: Some(RenditionId::new()),
            file_name: "visit 7/ü.mp3".to_owned(),
            expires: 1_800_000_000,
        }
    }

    fn signature(url: &str) -> &str {
        url.split_once("&signature=").unwrap().1
    }

    #[test]
    fn a_link_with_any_change_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let downloads = Downloads::open(&directory.path().join("key"), "http://localhost:8080/").unwrap();
        let link = link();
        let url = downloads.url(&link);
        let path = format!("http://localhost:8080/download/{}/visit%207%2F%C3%BC.mp3?", link.recording);
        assert!(url.starts_with(&path), "{url}");
        let signature = signature(&url);
        assert!(downloads.is_valid(&link, signature));
        for changed in [
            Link { expires: link.expires + 1, ..link.clone() },
            Link { tenant: "other".parse().unwrap(), ..link.clone() },
            Link { rendition: None, ..link.clone() },
            Link { recording: RecordingId::new(), ..link.clone() },
            Link { file_name: "x".to_owned(), ..link.clone() },
        ] {
            assert!(!downloads.is_valid(&changed, signature), "{changed:?}");
        }
        for bad in ["", "00", "zz", &signature[2..], &format!("{signature}00"), "ü"] {
            assert!(!downloads.is_valid(&link, bad), "{bad}");
        }
    }

    #[test]
    fn links_are_valid_after_a_restart_and_not_with_another_key() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| Downloads::open(&directory.path().join(name), "").unwrap();
        let link = link();
        let url = open("key").url(&link);
        assert!(open("key").is_valid(&link, signature(&url)));
        assert!(!open("other").is_valid(&link, signature(&url)));
        std::fs::write(directory.path().join("broken"), "short").unwrap();
        assert!(Downloads::open(&directory.path().join("broken"), "").is_err());
    }
}
