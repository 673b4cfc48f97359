//! Paths whose segments stay what they are.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::CallFailure;

/// All but the unreserved characters (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path that has these segments.
///
/// A segment that is empty, `.` or `..` cannot be encoded: `%2e%2e` means the same as `..` (RFC 3986, section 6.2.2.2), and
/// whoever stands in between may shorten the path by it (section 5.2.4). It would reach another route.
pub(super) fn path_of(segments: &[&str]) -> Result<String, CallFailure> {
    let mut path = String::new();
    for segment in segments {
        if matches!(*segment, "" | "." | "..") {
            return Err(CallFailure::Unaddressable("a segment of the path is empty, `.` or `..`"));
        }
        path.push('/');
        path.extend(utf8_percent_encode(segment, ENCODED));
    }
    if path.is_empty() {
        path.push('/');
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::transport::Origin;
    use super::*;

    fn path(base: &str, segments: &[&str]) -> Result<String, CallFailure> {
        let origin = Origin::new(base.parse().unwrap(), ([127, 0, 0, 1], 80).into()).unwrap();
        Ok(origin.locate(&path_of(segments)?.parse().unwrap())?.path().to_owned())
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
