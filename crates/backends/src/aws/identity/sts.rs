//! Where STS is, and the one request that it is sent.

use http::Uri;

use crate::OpenError;
use crate::aws::AwsSettings;

/// The whole body. Every proof is for this one.
pub(super) const BODY: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";
pub(super) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// The one STS that proofs are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sts {
    /// Scheme and host, with no path.
    pub(super) url: String,
    /// As the `Host` header names it: without the port that goes without saying.
    pub(super) host: String,
    pub(super) region: String,
}

impl Sts {
    /// The endpoint that is configured, else the one of the region. A global one would take proofs of one region alone.
    pub(super) fn of(settings: &AwsSettings) -> Result<Self, OpenError> {
        let region = settings.region.clone();
        let Some(endpoint) = &settings.endpoint_url else {
            let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            let host = format!("sts.{region}.{domain}");
            return Ok(Self { url: format!("https://{host}"), host, region });
        };
        let (scheme, host) = read(endpoint).ok_or(OpenError::Malformed {
            kind: "STS endpoint",
            expected: "`http://HOST[:PORT]` or `https://HOST[:PORT]`, without user, path and query",
        })?;
        Ok(Self { url: format!("{scheme}://{host}"), host, region })
    }
}

fn read(endpoint: &str) -> Option<(String, String)> {
    let uri: Uri = endpoint.parse().ok()?;
    let scheme = uri.scheme_str()?;
    let usual_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let has_user = uri.authority()?.as_str().contains('@');
    if has_user || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return None;
    }
    let host = uri.host()?.to_ascii_lowercase();
    let host = match uri.port_u16() {
        Some(port) if port != usual_port => format!("{host}:{port}"),
        _ => host,
    };
    Some((scheme.to_owned(), host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sts(region: &str, endpoint_url: Option<&str>) -> Result<Sts, OpenError> {
        Sts::of(&AwsSettings { region: region.into(), endpoint_url: endpoint_url.map(str::to_owned) })
    }

    #[test]
    fn sts_is_that_of_the_region_unless_an_endpoint_is_configured() {
        for (region, endpoint, url, host) in [
            ("eu-west-1", None, "https://sts.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com"),
            ("cn-north-1", None, "https://sts.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn"),
            ("eu-west-1", Some("http://127.0.0.1:4566/"), "http://127.0.0.1:4566", "127.0.0.1:4566"),
            ("eu-west-1", Some("https://STS.internal:443"), "https://sts.internal", "sts.internal"),
        ] {
            let sts = sts(region, endpoint).unwrap();
            assert_eq!((sts.url.as_str(), sts.host.as_str(), sts.region.as_str()), (url, host, region));
        }
    }

    #[test]
    fn an_endpoint_that_a_signature_would_not_fit_is_refused() {
        for endpoint in ["sts.internal", "ftp://sts", "http://sts/base", "http://sts/?a=b", "http://ann:pw@sts"] {
            let error = sts("eu-west-1", Some(endpoint)).unwrap_err().to_string();
            assert!(error.contains("STS endpoint") && !error.contains("pw"), "{error}");
        }
    }
}
