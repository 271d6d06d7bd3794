//! Parameters that say who asks and where from, not what is asked for: tracking and sessions.

/// What a parameter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterUse {
    /// It may choose what is shown.
    Content,
    /// It tells a statistics service where the visitor came from.
    Tracking,
    /// It carries the visitor's session.
    Session,
}

/// Names of click identifiers and campaign marks of advertising and mailing services; `utm_` and others by their beginning.
const TRACKING: [&str; 34] = [
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "fbclid",
    "msclkid",
    "yclid",
    "ysclid",
    "twclid",
    "ttclid",
    "igshid",
    "igsh",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "srsltid",
    "li_fat_id",
    "epik",
    "irclickid",
    "rb_clickid",
    "s_kwcid",
    "vero_id",
    "vero_conv",
    "wickedid",
    "oly_enc_id",
    "oly_anon_id",
    "_ga",
    "_gl",
    "_openstat",
    "_hsenc",
    "_hsmi",
    "hsctatracking",
    "cvid_click",
];
const TRACKING_BEGINNINGS: [&str; 4] = ["utm_", "pk_campaign", "pk_kwd", "__hs"];

/// Names that are always a session's.
const SESSION: [&str; 7] = ["phpsessid", "jsessionid", "oscsid", "zenid", "cfid", "cftoken", "aspxsession"];
const SESSION_BEGINNINGS: [&str; 2] = ["aspsessionid", "sessionid"];
/// Names that are a session's where the value looks drawn by lot.
const MAYBE_SESSION: [&str; 6] = ["sid", "session", "session_id", "sessid", "sess", "s"];

fn begins(name: &str, beginning: &str) -> bool {
    name.get(..beginning.len()).is_some_and(|head| head.eq_ignore_ascii_case(beginning))
}

/// What the parameter of this name and value is for.
pub(crate) fn parameter_use(name: &str, value: &str) -> ParameterUse {
    let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
    if is_one_of(&TRACKING) || TRACKING_BEGINNINGS.iter().any(|beginning| begins(name, beginning)) {
        ParameterUse::Tracking
    } else if is_one_of(&SESSION)
        || SESSION_BEGINNINGS.iter().any(|beginning| begins(name, beginning))
        || (is_one_of(&MAYBE_SESSION) && is_token(value))
    {
        ParameterUse::Session
    } else {
        ParameterUse::Content
    }
}

/// Whether a text looks drawn by lot: 16 letters and digits or more, both of them, and no words.
pub(crate) fn is_token(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut digits = 0;
    for byte in bytes {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b',' => {}
            _ => return false,
        }
    }
    // Of 16 hexadecimal digits ten are figures on average, of 16 letters and figures two and a half.
    bytes.len() >= 16 && digits * 12 >= bytes.len() && digits < bytes.len()
}

/// Whether a path segment is the session of an ASP.NET site without cookies: `(S(3f2a...))`.
pub(crate) fn is_session_segment(segment: &str) -> bool {
    segment.len() > 8
        && (begins(segment, "(S(") || begins(segment, "(X(") || begins(segment, "(A("))
        && segment.ends_with("))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_tracking_are_told_from_content() {
        let cases = [
            ("utm_source", "x", ParameterUse::Tracking),
            ("UTM_Medium", "x", ParameterUse::Tracking),
            ("fbclid", "IwAR0", ParameterUse::Tracking),
            ("PHPSESSID", "1", ParameterUse::Session),
            ("sid", "0f3a9c1e77b2d4a8", ParameterUse::Session),
            ("sid", "42", ParameterUse::Content),
            ("s", "how-to-bake-bread-at-home", ParameterUse::Content),
            ("session", "autumn", ParameterUse::Content),
            ("page", "0f3a9c1e77b2d4a8", ParameterUse::Content),
        ];
        for (name, value, expected) in cases {
            assert_eq!(parameter_use(name, value), expected, "{name}={value}");
        }
        assert!(is_session_segment("(S(lit3py55t21z5v55vlm25s55))"));
        assert!(!is_session_segment("(S)"));
    }

    #[test]
    fn long_words_are_no_tokens() {
        assert!(is_token("d41d8cd98f00b204e9800998ecf8427e"));
        assert!(!is_token("internationalization"));
        assert!(!is_token("20261122101500123456"));
        assert!(!is_token("d41d8cd9"));
    }
}
