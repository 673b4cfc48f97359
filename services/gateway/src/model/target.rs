//! Which targets are passed on.

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

/// Path and query as they came, byte for byte; `None` where whoever stands behind may read another path in them than
/// the route did, which would lie outside of what the route opens.
///
/// A segment `.` or `..` is taken out of a path, with the one before it (RFC 3986, section 5.2.4), and `%2e` is a dot
/// (section 6.2.2.2); an empty segment is left out by many; a backslash is a slash to whoever reads URLs as browsers
/// do. A slash that is encoded is none: it belongs to an id, and so does what stands on either side of it.
pub(crate) fn target(uri: &Uri) -> Option<&PathAndQuery> {
    let target = uri.path_and_query()?;
    let path = target.path();
    let is_plain = !path.contains("//") && !path.contains('\\') && !path.split('/').any(is_dots);
    is_plain.then_some(target)
}

/// Some leave out what follows a semicolon before they look.
fn is_dots(segment: &str) -> bool {
    let mut bytes = percent_decode_str(segment).take_while(|byte| *byte != b';');
    let first = (bytes.next(), bytes.next(), bytes.next());
    matches!(first, (Some(b'.'), None, None) | (Some(b'.'), Some(b'.'), None))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::Url;

    use super::*;

    fn passed(text: &str) -> Option<String> {
        target(&text.parse().unwrap()).map(ToString::to_string)
    }

    #[test]
    fn what_has_one_meaning_is_passed_on_as_it_came() {
        for text in [
            "/api/v1/users",
            "/api/v1/users?skip=0&limit=%31&name=a+b%20c&q=../..//\\&&=",
            "/api/v1/users/0197547b-4f13/",
            "/api/v1/users/..%2F..%2f..%2Fhealth",
            "/api/v1/users/%2f..",
            "/api/v1/users/%252e%252e",
            "/api/v1/users/.../..a/a../.well-known/%2E%2E%2E",
            "/api/v1/users/a%5c..%5Cb/%00/%zz/%",
            "/api/v1/users/a;b=c,d:e@f!$&'()*+",
            "/submit?",
        ] {
            assert_eq!(passed(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_could_mean_another_path_is_not_passed_on() {
        for text in [
            "/api/v1/users/..",
            "/api/v1/users/../orders",
            "/api/v1/users/..;/admin",
            "/api/v1/users/%2e.%3Ba=b/admin",
            "/api/v1/users/./profile",
            "/api/v1/users/%2e%2e/orders",
            "/api/v1/users/.%2E/orders",
            "/api/v1/users/%2E./orders",
            "/api/v1/users/x/%2e",
            "/api/v1/users//profile",
            "/api/v1/users/x//",
            "//evil.example/api/v1/users",
            "/api/v1/users/..\\..\\metrics",
            "/api/v1/users/\\\\evil.example",
        ] {
            assert_eq!(passed(text), None, "{text}");
        }
    }

    #[test]
    fn the_host_of_a_whole_url_is_left_out() {
        assert_eq!(passed("http://evil.example/api/v1/users?a").as_deref(), Some("/api/v1/users?a"));
        assert_eq!(passed("evil.example:80"), None, "CONNECT has no path");
    }

    proptest! {
        /// Browsers resolve more than servers do: what they leave alone, everybody does.
        #[test]
        fn whatever_is_passed_on_stays_below_its_route(rest in "([./\\\\%a]|%2e|%2E|%2f|%5c|%252e|\\.\\.){0,12}") {
            let path = format!("/api/v1/users/{rest}");
            if let Some(passed) = passed(&path) {
                let read = Url::parse(&format!("http://users.internal{passed}")).unwrap();
                prop_assert_eq!(read.path(), path);
                prop_assert_eq!(read.host_str(), Some("users.internal"));
            }
        }
    }
}
