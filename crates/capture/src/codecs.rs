//! The encodings that the configuration names.

use rtp::Encoding;

use crate::ConfigError;

/// The configured encoding names, in the order of preference.
pub(crate) fn preferences(names: &[String]) -> Result<Vec<Encoding>, ConfigError> {
    let refuse = |problem: String| ConfigError { key: "webrtc.codecs", problem };
    if names.is_empty() {
        return Err(refuse("no codec is named".to_owned()));
    }
    let known = |name: &String| {
        Encoding::from_name(name).ok_or_else(|| {
            let names: Vec<_> = Encoding::all().map(Encoding::name).collect();
            refuse(format!("{name:?} is not one of {}", names.join(", ")))
        })
    };
    names.iter().map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WebrtcConfig;

    #[test]
    fn the_default_codecs_are_all_known_and_stay_in_order() {
        let preferences = preferences(&WebrtcConfig::default().codecs).unwrap();
        let names: Vec<_> = preferences.iter().map(|encoding| encoding.name()).collect();
        assert_eq!(names, WebrtcConfig::DEFAULT_CODECS);
    }

    #[test]
    fn an_unknown_codec_is_refused_by_name() {
        let error = preferences(&["VP8".to_owned(), "theora".to_owned()]).unwrap_err();
        assert_eq!(error.key, "webrtc.codecs");
        assert!(error.problem.contains("theora"), "{error}");
    }
}
