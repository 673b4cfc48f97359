//! Paths that lead where they should, and those that would not.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use url::Url;

use super::*;

#[test]
fn a_path_below_the_address_is_taken_as_it_is() {
    for path in [
        "/",
        "/health",
        "/api/v1/users?skip=0&limit=10",
        "/api/v1/users/",
        "/a//b",
        "/a?",
        "/?a=1",
        "/a?path=/../etc&range=1..5&to=http://host/%2f%5c",
        "/a?b=?c",
        "/john%20doe/%C3%BC/100%25",
        "/.well-known/jwks.json",
        "/...",
        "/a..b/..c/d..",
        "/@host:80/",
        "/http://host/",
        "/a;b=c;d/e",
        "/a:b@c!$&'()*+,=~_-",
        "/%E2%80%A6",
    ] {
        assert_eq!(parse(path).unwrap(), path);
    }
    let longest = format!("/{}", "a".repeat(MAX_BYTES - 1));
    assert_eq!(parse(&longest).unwrap(), *longest);
}

#[test]
fn a_text_that_names_a_host_or_no_place_is_refused() {
    for text in [
        "",
        "users",
        "?a=1",
        "#a",
        "@host/",
        ":80/",
        ".host/",
        "http://127.0.0.1/",
        "HTTP://127.0.0.1/",
        "http:/127.0.0.1/",
        "http:127.0.0.1",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fd00:ec2::254]/latest/meta-data",
        "http://169.254.169.254/latest/meta-data",
        "http://ⓛocalhost/",
        "http://user-service@127.0.0.1/",
        "file:///etc/passwd",
        "//127.0.0.1/",
        "///127.0.0.1/",
        "/\\127.0.0.1/",
        "\\\\127.0.0.1/",
        "\\/127.0.0.1/",
        " /health",
        "\u{feff}/health",
        "*",
    ] {
        assert_eq!(parse(text), Err(NOT_ABSOLUTE), "{text:?}");
    }
}

#[test]
fn no_segment_leads_upwards_in_any_encoding() {
    for (path, why) in [
        ("/..", DOT_SEGMENT),
        ("/.", DOT_SEGMENT),
        ("/../health", DOT_SEGMENT),
        ("/a/../../health", DOT_SEGMENT),
        ("/a/..?b=1", DOT_SEGMENT),
        ("/%2e%2e/health", DOT_SEGMENT),
        ("/%2E%2e/health", DOT_SEGMENT),
        ("/.%2e/health", DOT_SEGMENT),
        ("/%2e./health", DOT_SEGMENT),
        ("/a/%2e", DOT_SEGMENT),
        ("/%252e%252e/health", DOT_SEGMENT),
        ("/%25252e%25252e/health", DOT_SEGMENT),
        ("/%2525252e%2525252e/health", TOO_ENCODED),
        ("/%252525252525252e/health", TOO_ENCODED),
        ("/..;/health", DOT_SEGMENT),
        ("/..;a=b/health", DOT_SEGMENT),
        ("/%2e%2e%3b/health", DOT_SEGMENT),
        ("/%2e%2e;a/health", DOT_SEGMENT),
        ("/..%20/health", DOT_SEGMENT),
        ("/%20../health", DOT_SEGMENT),
        ("/%2e%2e%c2%a0/health", DOT_SEGMENT),
        ("/%c0%ae%c0%ae/health", BAD_ESCAPE),
        ("/%e0%80%ae%e0%80%ae/health", BAD_ESCAPE),
        ("/%25c0%25ae/health", BAD_ESCAPE),
        ("/%u002e%u002e/health", BAD_ESCAPE),
        ("/%EF%BC%8E%EF%BC%8E/health", DOT_SEGMENT),
        ("/%E2%80%A4%E2%80%A4/health", DOT_SEGMENT),
        ("/%E2%80%A5/health", DOT_SEGMENT),
        ("/a%EF%BC%8F..%EF%BC%8Fb", DOT_SEGMENT),
        ("/%2e%2e%EF%BC%9B/health", DOT_SEGMENT),
    ] {
        assert_eq!(parse(path), Err(why), "{path}");
    }
}

#[test]
fn no_separator_control_character_or_fragment_is_hidden() {
    for (path, why) in [
        ("/a%2fb", HIDDEN_SEPARATOR),
        ("/a%2Fb", HIDDEN_SEPARATOR),
        ("/a%252fb", HIDDEN_SEPARATOR),
        ("/a%25252Fb", HIDDEN_SEPARATOR),
        ("/%2f127.0.0.1", HIDDEN_SEPARATOR),
        ("/..%2f..%2fhealth", HIDDEN_SEPARATOR),
        ("/a%5cb", HIDDEN_SEPARATOR),
        ("/a%5Cb", HIDDEN_SEPARATOR),
        ("/a%255cb", HIDDEN_SEPARATOR),
        ("/a\\b", HIDDEN_SEPARATOR),
        ("/a?b\\c", HIDDEN_SEPARATOR),
        ("/a%c0%afb", BAD_ESCAPE),
        ("/a\0", CONTROL_CHARACTER),
        ("/a%00", CONTROL_CHARACTER),
        ("/a%2500", CONTROL_CHARACTER),
        ("/a%1f", CONTROL_CHARACTER),
        ("/a%7F", CONTROL_CHARACTER),
        ("/a%C2%85", CONTROL_CHARACTER),
        ("/a\r\nhost: b", CONTROL_CHARACTER),
        ("/a%0d%0Ahost:%20b", CONTROL_CHARACTER),
        ("/a\tb", CONTROL_CHARACTER),
        ("/a?b=%0d%0a", CONTROL_CHARACTER),
        ("/a?b=\n", CONTROL_CHARACTER),
        ("/a?b=%00", CONTROL_CHARACTER),
        ("/a#b", FRAGMENT),
        ("/a?b#c", FRAGMENT),
        ("/a b", BAD_CHARACTER),
        ("/ü", BAD_CHARACTER),
        ("/a?b=ü", BAD_CHARACTER),
        ("/a\u{2028}", BAD_CHARACTER),
        ("/a?b[c]=1", BAD_CHARACTER),
        ("/a\"<>^`{|}", BAD_CHARACTER),
        ("/a%", BAD_ESCAPE),
        ("/a%2", BAD_ESCAPE),
        ("/a%zz", BAD_ESCAPE),
        ("/a?b=%2", BAD_ESCAPE),
        ("/%ff", BAD_ESCAPE),
    ] {
        assert_eq!(parse(path), Err(why), "{path:?}");
    }
    assert_eq!(parse(&format!("/{}", "a".repeat(MAX_BYTES))), Err(TOO_LONG));
}

#[test]
fn what_is_refused_is_not_repeated() {
    for text in ["secret", "//secret", "/secret/..", "/secret%", "/secret%00", "/secret ", "/secret#", "/secret%2f"] {
        assert!(!parse(text).unwrap_err().contains("secret"), "{text}");
    }
}

/// Addresses of services.
const ADDRESSES: [&str; 4] =
    ["http://users:8002", "http://10.0.0.7", "http://[::1]:8002/base", "https://users.internal/a/b"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// As the WHATWG's URLs read it, which are the most forgiving.
    #[test]
    fn whatever_is_taken_stays_below_the_address(
        text in r"[/.\\%;?#@:a-f0-9 ]{0,24}|/[/.%;?@:a-f0-9]{0,24}|/(\.\.|\.|%2e|%2E|%252e|%25|%2f|%5c|/|;|a|\?){0,8}|\PC{0,16}"
    ) {
        let Ok(taken) = parse(&text) else { return Ok(()) };
        prop_assert_eq!(taken.as_str(), text.as_str());
        for address in ADDRESSES {
            let base = Url::parse(address).unwrap();
            let url = Url::parse(&format!("{address}{taken}")).unwrap();
            prop_assert_eq!((url.scheme(), url.host(), url.port()), (base.scheme(), base.host(), base.port()));
            prop_assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None));
            let prefix = base.path().trim_end_matches('/');
            prop_assert_eq!(url.path(), format!("{prefix}{}", taken.path()), "nothing was shortened");
            let resolved = base.join(taken.as_str()).unwrap();
            prop_assert_eq!((resolved.host(), resolved.port()), (base.host(), base.port()));
        }
    }

    #[test]
    fn any_text_can_be_a_segment_unless_it_means_something_else(
        segments in prop::collection::vec("[a-zA-Z0-9._~!$&'()*+,;=:@ ?#\"<>üあ😀-]{1,12}", 1..5)
    ) {
        let is_dots = |segment: &String| matches!(segment.split(';').next().unwrap().trim(), "." | "..");
        prop_assume!(!segments.iter().any(is_dots));
        let encoded: Vec<_> =
            segments.iter().map(|segment| utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string()).collect();
        let path = parse(&format!("/{}", encoded.join("/"))).unwrap();
        let read: Vec<_> = path
            .path()
            .split('/')
            .skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8().unwrap().into_owned())
            .collect();
        prop_assert_eq!(read, segments);
    }
}
