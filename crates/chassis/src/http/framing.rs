//! What RFC 9112 lets no server take and the HTTP library lets through: two readers of such a request may see two
//! different ones.

use http::Version;
use http::header;
use http::request::Parts;

use crate::error::{Error, Kind};

/// Refuses a request without exactly one `Host` (section 3.2). The connection closes: its client cannot be trusted to
/// frame the next request either.
pub(super) fn check(request: &Parts) -> Result<(), Error> {
    let hosts = request.headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version == Version::HTTP_11) {
        let refusal = Error::new(Kind::BadRequest, "A request needs exactly one Host header");
        return Err(refusal.with_header(header::CONNECTION, "close"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(version: Version, hosts: &[&str]) -> bool {
        let request = http::Request::get("/").version(version);
        let request = hosts.iter().fold(request, |request, host| request.header(header::HOST, *host));
        check(&request.body(()).unwrap().into_parts().0).is_err()
    }

    #[test]
    fn a_request_has_exactly_one_host() {
        assert!(!is_refused(Version::HTTP_11, &["localhost"]));
        assert!(!is_refused(Version::HTTP_10, &[]));
        assert!(is_refused(Version::HTTP_11, &[]));
        assert!(is_refused(Version::HTTP_11, &["localhost", "evil.example"]));
        assert!(is_refused(Version::HTTP_10, &["localhost", "evil.example"]));
    }
}
