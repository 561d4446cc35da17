//! Offers of real clients and their answers.

use super::{
    AV1, H264, OPUS, PCMU, VP8, answer, config,
    offers::{AIORTC, ALL, CHROMIUM, FIREFOX, GSTREAMER, LIBDATACHANNEL, SAFARI},
};
use rtp::Encoding;

use crate::{OfferError, sdp::Session};

/// (mid, sends, accepted payload types with their RTX, layers) of each accepted section.
fn summary(session: &Session) -> Vec<(String, bool, Vec<u8>, usize)> {
    session
        .media()
        .map(|(section, media)| {
            let mut payload_types: Vec<u8> =
                media.formats.iter().map(|format| format.payload.payload_type.0).collect();
            payload_types.extend(media.repairs.iter().map(|repair| repair.payload_type().0));
            (section.mid.clone(), media.sends, payload_types, media.rids.len())
        })
        .collect()
}

fn section<'a>(answer: &'a str, start: &str) -> &'a str {
    answer.split("m=").find(|section| section.starts_with(start)).unwrap_or_else(|| panic!("no {start}"))
}

/// (mid, sends, payload types, layers).
type ExpectedSection = (&'static str, bool, &'static [u8], usize);
/// (client, offer, sections, has data channels).
type ExpectedAnswer = (&'static str, &'static str, &'static [ExpectedSection], bool);

#[test]
fn the_offer_of_each_real_client_is_accepted() {
    let table: [ExpectedAnswer; 6] = [
        (
            "chromium",
            CHROMIUM,
            &[("0", true, &[63, 111], 0), ("1", true, &[98, 96, 103, 107, 109, 45, 97, 104, 108, 99, 46], 3)],
            true,
        ),
        (
            "firefox",
            FIREFOX,
            &[("0", true, &[109], 0), ("1", true, &[121, 120, 126, 124, 125, 127], 0)],
            false,
        ),
        ("aiortc", AIORTC, &[("0", true, &[96], 0), ("1", true, &[97, 99, 98, 100], 0)], false),
        ("gstreamer", GSTREAMER, &[("video0", true, &[96], 0)], false),
        ("libdatachannel", LIBDATACHANNEL, &[("video", true, &[102], 0)], true),
        ("safari", SAFARI, &[("0", false, &[111], 0), ("1", true, &[100, 96, 97], 0)], false),
    ];
    for (name, offer, expected, data) in table {
        for offer in [offer.to_owned(), offer.replace('\n', "\r\n")] {
            let (session, _) = answer(&offer, &config()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let expected: Vec<_> = expected
                .iter()
                .map(|(mid, sends, payload_types, layers)| {
                    ((*mid).to_owned(), *sends, payload_types.to_vec(), *layers)
                })
                .collect();
            assert_eq!(summary(&session), expected, "{name}");
            assert_eq!(session.has_data(), data, "{name}");
        }
    }
}

#[test]
fn an_answer_is_itself_sdp_with_a_section_for_each_offered_one() {
    for (name, offer) in ALL {
        let (_, text) = answer(offer, &config()).unwrap();
        let parsed = rtc_sdp::SessionDescription::unmarshal(&mut std::io::Cursor::new(&text));
        let parsed = parsed.unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        assert_eq!(parsed.media_descriptions.len(), offer.matches("\nm=").count(), "{name}");
        assert!(text.lines().all(|line| line.len() > 2 && line.as_bytes()[1] == b'='), "{name}: {text}");
        assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']), "{name}");
    }
}

#[test]
fn the_answer_to_chromium_is_complete() {
    let mut config = config();
    config.codecs = vec![VP8, OPUS];
    let (_, text) = answer(CHROMIUM, &config).unwrap();
    let fingerprint = ["AB"; 32].join(":");
    let transport = format!(
        "a=ice-ufrag:ours\r\na=ice-pwd:aPasswordThatIsLongEnough\r\na=fingerprint:sha-256 {fingerprint}\r\n\
         a=setup:passive\r\n"
    );
    let expected = format!(
        "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE 0 1 2\r\n\
         a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host\r\n\
         a=candidate:2 1 udp 2130706175 2001:db8::1 4000 typ host\r\n\
         a=candidate:3 1 tcp 2124414463 192.0.2.1 4443 typ host tcptype passive\r\n\
         a=end-of-candidates\r\n{transport}a=mid:0\r\n\
         a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
         a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
         a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
         a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
         a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\n\
         a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp-fb:111 transport-cc\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\n{transport}a=mid:1\r\n\
         a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
         a=extmap:13 urn:3gpp:video-orientation\r\n\
         a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
         a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
         a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
         a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n\
         a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:96 VP8/90000\r\n\
         a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 transport-cc\r\n\
         a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
         a=rid:h recv\r\na=rid:m recv\r\na=rid:l recv\r\na=simulcast:recv h;m;l\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n{transport}a=mid:2\r\n\
         a=sctp-port:5000\r\na=max-message-size:1000\r\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn feedback_for_all_payload_types_is_answered_for_each() {
    let (_, text) = answer(FIREFOX, &config()).unwrap();
    let video = section(&text, "video");
    for line in ["a=rtcp-fb:120 transport-cc", "a=rtcp-fb:121 transport-cc", "a=rtcp-fb:126 transport-cc"] {
        assert!(video.contains(line), "{line} in {video}");
    }
    assert!(!video.contains("goog-remb"));
}

#[test]
fn the_better_packetization_mode_comes_first_and_a_missing_one_is_the_default() {
    let mut config = config();
    config.codecs = vec![H264];
    let (session, _) = answer(CHROMIUM, &config).unwrap();
    // 103 is of mode 1. 109 names no mode, which means 0 (RFC 6184 §8.1).
    assert_eq!(summary(&session), [("1".to_owned(), true, vec![103, 107, 109, 104, 108], 3)]);
}

#[test]
fn red_is_accepted_only_with_the_codec_that_it_repeats() {
    let mut config = config();
    config.codecs = vec![Encoding::Red, PCMU];
    let (session, _) = answer(CHROMIUM, &config).unwrap();
    assert_eq!(summary(&session), [("0".to_owned(), true, vec![0], 0)]);
}

#[test]
fn a_section_without_a_common_codec_is_refused_alone() {
    let mut config = config();
    config.codecs = vec![OPUS];
    let (session, text) = answer(SAFARI.replace("a=recvonly", "a=sendonly").as_str(), &config).unwrap();
    assert_eq!(summary(&session), [("0".to_owned(), true, vec![111], 0)]);
    let video = section(&text, "video");
    assert!(video.starts_with("video 0 UDP/TLS/RTP/SAVPF 96 97 98 99 100\r\n"), "{video}");
    assert!(text.contains("a=group:BUNDLE 0\r\n"));
    // All refused is an error that names both sides.
    config.codecs = vec![AV1];
    assert_eq!(
        answer(GSTREAMER, &config),
        Err(OfferError::NoCommonCodec { offered: "h264".to_owned(), supported: "AV1".to_owned() })
    );
    assert_eq!(
        answer(SAFARI, &config),
        Err(OfferError::NoCommonCodec { offered: "H264, H265, VP8".to_owned(), supported: "AV1".to_owned() })
    );
}

#[test]
fn without_bundle_only_the_first_section_is_accepted() {
    let offer = AIORTC.replace("a=group:BUNDLE 0 1\n", "");
    let (session, text) = answer(&offer, &config()).unwrap();
    assert_eq!(summary(&session), [("0".to_owned(), true, vec![96], 0)]);
    assert!(section(&text, "video").starts_with("video 0 "), "{text}");
    assert!(!text.contains("BUNDLE"));
    // And of two groups the first.
    let offer = AIORTC.replace("a=group:BUNDLE 0 1\n", "a=group:BUNDLE 1\na=group:BUNDLE 0\n");
    let (session, text) = answer(&offer, &config()).unwrap();
    assert_eq!(session.media().next().unwrap().0.mid, "1");
    assert!(section(&text, "audio").starts_with("audio 0 ") && text.contains("a=group:BUNDLE 1\r\n"));
    assert!(section(&text, "video").contains("a=candidate:1 "), "the candidates go with the accepted one");
}

#[test]
fn a_single_section_needs_no_mid_and_no_direction() {
    let offer = GSTREAMER
        .replace("a=group:BUNDLE video0\n", "")
        .replace("a=mid:video0\n", "")
        .replace("a=sendonly\n", "");
    let (session, text) = answer(&offer, &config()).unwrap();
    assert_eq!(summary(&session), [("0".to_owned(), true, vec![96], 0)]);
    assert!(!text.contains("a=mid"));
}

#[test]
fn unusable_offers_are_refused_with_their_reason() {
    let without = |line: &str| {
        GSTREAMER
            .lines()
            .filter(|known| !known.starts_with(line))
            .fold(String::new(), |text, line| text + line + "\n")
    };
    let malformed = [
        ("nonsense".to_owned(), "it is no SDP"),
        (String::new(), "it is no SDP"),
        (without("a=ice-ufrag"), "ice-ufrag or ice-pwd is missing"),
        (without("a=ice-pwd"), "ice-ufrag or ice-pwd is missing"),
        (GSTREAMER.replace("a=ice-ufrag:uV1zJ4dG", "a=ice-ufrag:ab:c"), "RFC 8839"),
        (GSTREAMER.replace("a=ice-ufrag:uV1zJ4dG", "a=ice-ufrag:abc"), "RFC 8839"),
        (without("a=fingerprint"), "fingerprint:sha-256 is missing"),
        (GSTREAMER.replace(":00:39", ":00"), "32 hexadecimal"),
        (GSTREAMER.replace(":00:39", ":00:39:11"), "32 hexadecimal"),
        (GSTREAMER.replace(":00:39", ":00:3x"), "32 hexadecimal"),
        (GSTREAMER.replace("a=setup:actpass", "a=setup:passive"), "setup:passive"),
        (GSTREAMER.replace("a=ice-options:trickle", "a=ice-lite"), "ICE-lite"),
        (without("a=rtcp-mux"), "rtcp-mux"),
        (AIORTC.replace("a=mid:1", "a=mid:0"), "two sections"),
    ];
    for (offer, reason) in malformed {
        let error = answer(&offer, &config()).unwrap_err();
        assert!(matches!(error, OfferError::Malformed(_)), "{error} for {reason}");
        assert!(error.to_string().contains(reason), "{error} doesn't mention {reason}");
    }
    let head = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n";
    assert_eq!(answer(head, &config()), Err(OfferError::NoMedia));
    for direction in ["recvonly", "inactive"] {
        let offer = GSTREAMER.replace("sendonly", direction);
        assert_eq!(answer(&offer, &config()), Err(OfferError::NoMedia), "{direction}");
    }
    let limit = PeerLimit { bytes: 100, sections: 1 };
    assert!(matches!(answer(GSTREAMER, &limit.config()), Err(OfferError::TooLarge { limit: 100, .. })));
    let limit = PeerLimit { bytes: 100_000, sections: 1 };
    assert!(answer(GSTREAMER, &limit.config()).is_ok());
    assert!(matches!(answer(AIORTC, &limit.config()), Err(OfferError::Malformed(_))));
}

struct PeerLimit {
    bytes: usize,
    sections: usize,
}

impl PeerLimit {
    fn config(&self) -> crate::PeerConfig {
        crate::PeerConfig { max_offer_bytes: self.bytes, max_sections: self.sections, ..config() }
    }
}

#[test]
fn of_simulcast_alternatives_the_first_counts_and_only_what_is_sent() {
    let offer = CHROMIUM.replace("a=simulcast:send h;m;l", "a=simulcast:recv x send h,m;~l;q");
    let (session, text) = answer(&offer, &config()).unwrap();
    assert_eq!(summary(&session)[1].3, 2);
    assert!(text.contains("a=rid:h recv\r\na=rid:l recv\r\na=simulcast:recv h;l\r\n"), "{text}");
}
