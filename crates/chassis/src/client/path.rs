//! Paths whose segments stay what they are.

use std::sync::LazyLock;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use super::{CallFailure, ServiceUrl};

/// Bytes of the longest URL that is sent, which every server must be able to read (RFC 9110, section 4.1).
const MAX_URL_BYTES: usize = 8000;

#[expect(clippy::expect_used, reason = "the text is a constant")]
static NOWHERE: LazyLock<Url> = LazyLock::new(|| Url::parse("http://nowhere").expect("it is a URL"));

/// All but the unreserved characters (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A URL of no service, with these segments as its path.
///
/// A segment that is empty, `.` or `..` cannot be encoded: `%2e%2e` means the same as `..` (RFC 3986, section 6.2.2.2), and
/// whoever stands in between may shorten the path by it (section 5.2.4). It would reach another route.
pub(super) fn target(segments: &[&str]) -> Result<Url, CallFailure> {
    let mut path = String::new();
    for segment in segments {
        if matches!(*segment, "" | "." | "..") {
            return Err(CallFailure::Unaddressable("a segment of the path is empty, `.` or `..`"));
        }
        path.push('/');
        path.extend(utf8_percent_encode(segment, ENCODED));
    }
    let mut url = NOWHERE.clone();
    url.set_path(&path);
    Ok(url)
}

/// The same path and query at a service: below the path of its address.
pub(super) fn locate(service: &ServiceUrl, target: &Url) -> Result<Url, CallFailure> {
    let mut url = service.url().clone();
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&(base + target.path()));
    url.set_query(target.query());
    check_length(&url)?;
    Ok(url)
}

fn check_length(url: &Url) -> Result<(), CallFailure> {
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(CallFailure::Unaddressable("the URL has more than 8000 bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(base: &str, segments: &[&str]) -> Result<String, CallFailure> {
        Ok(locate(&base.parse().unwrap(), &target(segments)?)?.path().to_owned())
    }

    #[test]
    fn a_segment_stays_one_segment() {
        for (segment, encoded) in [
            ("0197547b-4f13", "0197547b-4f13"),
            ("../../../health", "..%2F..%2F..%2Fhealth"),
            ("%2e%2e", "%252e%252e"),
            ("...", "..."),
            ("a?b#c", "a%3Fb%23c"),
            ("a\\b", "a%5Cb"),
            ("a\t\r\nb", "a%09%0D%0Ab"),
            (" ü ", "%20%C3%BC%20"),
        ] {
            assert_eq!(path("http://users", &["users", segment]).unwrap(), format!("/users/{encoded}"));
            assert_eq!(path("http://users/base/", &[segment, "x"]).unwrap(), format!("/base/{encoded}/x"));
        }
    }

    #[test]
    fn a_segment_that_no_path_can_hold_names_nothing() {
        for segment in ["", ".", ".."] {
            for segments in [&["users", segment][..], &[segment], &["users", segment, "x"]] {
                assert!(matches!(path("http://users", segments), Err(CallFailure::Unaddressable(_))), "{segments:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_a_segment_holds_it_can_be_read_back(segment in "\\PC{1,20}|[./%\\\\]{1,6}|[\\x00-\\x20]{1,4}") {
            prop_assume!(segment != "." && segment != "..");
            let path = path("http://users/base", &["users", &segment, "orders"]).unwrap();
            let parts: Vec<_> = path.split('/').collect();
            prop_assert_eq!(parts.len(), 5);
            let decoded = percent_encoding::percent_decode_str(parts[3]).decode_utf8().unwrap();
            prop_assert_eq!(decoded.as_ref(), segment.as_str());
        }
    }
}
