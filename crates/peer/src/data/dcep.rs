//! The data channel establishment protocol (RFC 8832): two messages.

const OPEN: u8 = 0x03;
/// The whole DATA_CHANNEL_ACK message.
pub(super) const ACK: [u8; 1] = [0x02];
const OPEN_HEADER: usize = 12;
/// The longest label that is stored. A label may have 65,535 bytes.
const MAX_LABEL: usize = 1024;

/// The label of a DATA_CHANNEL_OPEN message (§5.1), cut to [`MAX_LABEL`]. None for anything else.
pub(super) fn opened_label(message: &[u8]) -> Option<String> {
    let (header, rest) = message.split_first_chunk::<OPEN_HEADER>()?;
    let label = rest.get(..usize::from(u16::from_be_bytes([header[8], header[9]])))?;
    let label = String::from_utf8_lossy(&label[..label.len().min(MAX_LABEL)]).into_owned();
    (header[0] == OPEN).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::opened_label;

    #[test]
    fn the_label_of_an_open_is_read() {
        let open = [3, 0, 1, 0, 0, 0, 0, 0, 0, 4, 0, 2, b'c', b'h', b'a', b't', b'p', b'r'];
        assert_eq!(opened_label(&open).as_deref(), Some("chat"));
        for length in 0..16 {
            assert_eq!(opened_label(&open[..length]), None, "cut to {length}");
        }
        assert_eq!(opened_label(&[2]), None);
    }
}
