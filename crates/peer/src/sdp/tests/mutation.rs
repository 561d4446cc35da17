//! No text makes the answerer panic, and whatever it answers is SDP.

use proptest::prelude::*;

use super::{answer, config, offers::ALL};

/// An edit of an offer: at a place, by kind, with a byte.
type Edit = (prop::sample::Index, u8, u8);

fn edited(offer: &str, edits: &[Edit]) -> String {
    let mut bytes = offer.as_bytes().to_vec();
    for (place, kind, byte) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        let line_start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let line_end =
            bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end + 1);
        match kind % 7 {
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 => drop(bytes.remove(at)),
            3 => drop(bytes.drain(line_start..line_end)),
            4 => {
                let line = bytes[line_start..line_end].to_vec();
                let to = usize::from(*byte) * bytes.len() / 256;
                bytes.splice(to..to, line);
            }
            5 => bytes.truncate(at),
            _ => bytes.insert(at, b":/ =;\r\n0,*"[usize::from(*byte) % 10]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edited_offer_is_answered_or_refused(
        which in 0..ALL.len(),
        edits in prop::collection::vec(any::<Edit>(), 1..12),
    ) {
        let offer = edited(ALL[which].1, &edits);
        if let Ok((session, text)) = answer(&offer, &config()) {
            let parsed = rtc_sdp::SessionDescription::unmarshal(&mut std::io::Cursor::new(&text));
            prop_assert!(parsed.is_ok(), "{text}");
            prop_assert!(session.has_data() || session.media().count() > 0);
            prop_assert!(text.lines().all(|line| line.as_bytes().get(1) == Some(&b'=')), "{text}");
        }
    }

    #[test]
    fn any_text_is_answered_or_refused(text in "\\PC{0,200}") {
        let _ = answer(&text, &config());
    }
}
