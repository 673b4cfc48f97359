//! Which identities are services of the system, and what each may do.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

use super::SpiffeId;
use super::tokens::is_scope;

/// Identities of services, each with what it may do. Read from a JSON array of `{"identity": …, "scopes": [SCOPE…]}`. An
/// identity counts whole: there are no patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedIdentities(BTreeMap<String, Vec<String>>);

/// Why a text names no identities.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoAllowedIdentities {
    /// It is not of the form.
    #[error("{0}; expected a JSON array of `{{\"identity\": IDENTITY, \"scopes\": [SCOPE…]}}`")]
    Shape(String),
    /// An entry is neither of the two.
    #[error(
        "found `{0}`, expected a SPIFFE id such as `spiffe://example.org/orders`, or the ARN of one role such as `arn:aws:iam::123456789012:role/orders`"
    )]
    Identity(String),
    /// Two entries are the same.
    #[error("found {0} twice, expected each identity once")]
    Twice(String),
    /// A scope that no token can have (RFC 6749, section 3.3).
    #[error("found the scope `{scope}` of {identity}, expected visible ASCII without spaces, quotes and backslashes")]
    Scope {
        /// Whose scope.
        identity: String,
        /// What was found.
        scope: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    identity: String,
    scopes: Vec<String>,
}

impl AllowedIdentities {
    /// What this identity may do; `None` for one that is no service.
    #[must_use]
    pub fn scopes(&self, identity: &str) -> Option<&[String]> {
        self.0.get(identity).map(Vec::as_slice)
    }

    /// Each identity with what it may do, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(identity, scopes)| (identity.as_str(), scopes.as_slice()))
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for AllowedIdentities {
    type Err = NoAllowedIdentities;

    fn from_str(text: &str) -> Result<Self, NoAllowedIdentities> {
        let entries: Vec<Entry> =
            serde_json::from_str(text).map_err(|error| NoAllowedIdentities::Shape(error.to_string()))?;
        let mut identities = BTreeMap::new();
        for Entry { identity, scopes } in entries {
            if !is_role(&identity) && identity.parse::<SpiffeId>().is_err() {
                return Err(NoAllowedIdentities::Identity(identity));
            }
            if let Some(scope) = scopes.iter().find(|scope| !is_scope(scope)) {
                return Err(NoAllowedIdentities::Scope { identity, scope: scope.clone() });
            }
            if identities.contains_key(&identity) {
                return Err(NoAllowedIdentities::Twice(identity));
            }
            identities.insert(identity, scopes);
        }
        Ok(Self(identities))
    }
}

/// Whether it looks like the ARN of a role, without a path or with one. What AWS knows is looked at by those who speak
/// to it.
fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [prefix, partition, service, region, account, resource] = parts.as_slice() else { return false };
    let is_named = resource.strip_prefix("role/").is_some_and(|name| !name.is_empty() && !name.ends_with('/'));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
    let is_whole = !partition.is_empty() && region.is_empty() && !account.is_empty();
    *prefix == "arn" && *service == "iam" && is_whole && is_named && is_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_has_the_scopes_of_its_own_entry() {
        let text = r#"[{"identity": "spiffe://example.org/orders", "scopes": ["users:read"]},
                       {"identity": "arn:aws:iam::123456789012:role/path/users", "scopes": []}]"#;
        let identities: AllowedIdentities = text.parse().unwrap();
        assert_eq!(identities.scopes("spiffe://example.org/orders"), Some(&["users:read".to_owned()][..]));
        assert_eq!(identities.scopes("arn:aws:iam::123456789012:role/path/users"), Some(&[][..]));
        for other in ["spiffe://example.org/orders/2", "spiffe://example.org/order", "spiffe://other.org/orders", ""] {
            assert_eq!(identities.scopes(other), None, "{other}");
        }
        assert_eq!(identities.iter().count(), 2);
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_refused_with_what_was_found() {
        let entry = |identity: &str, scopes: &str| format!(r#"{{"identity": "{identity}", "scopes": {scopes}}}"#);
        let sound = entry("spiffe://example.org/orders", "[]");
        for (list, found) in [
            ("{}".to_owned(), "expected a JSON array"),
            (r#"[{"identity": "spiffe://example.org/a"}]"#.to_owned(), "missing field `scopes`"),
            (r#"[{"identity": "spiffe://example.org/a", "scopes": [], "scope": 1}]"#.to_owned(), "unknown field"),
            (format!("[{sound}, {sound}]"), "found spiffe://example.org/orders twice"),
            (format!("[{}]", entry("spiffe://example.org/a", r#"["a b"]"#)), "found the scope `a b` of spiffe://"),
            (format!("[{}]", entry("spiffe://example.org/a", r#"[""]"#)), "found the scope `` of spiffe://"),
            (format!("[{}]", entry("spiffe://example.org", "[]")), "expected a SPIFFE id"),
            (format!("[{}]", entry("spiffe://example.org/*", "[]")), "expected a SPIFFE id"),
            (format!("[{}]", entry("https://example.org/a", "[]")), "expected a SPIFFE id"),
            (format!("[{}]", entry("arn:aws:iam::123456789012:user/a", "[]")), "or the ARN of one role"),
            (format!("[{}]", entry("arn:aws:iam::123456789012:role/*", "[]")), "or the ARN of one role"),
            (format!("[{}]", entry("arn:aws:sts::123456789012:assumed-role/a/b", "[]")), "or the ARN of one role"),
        ] {
            let error = list.parse::<AllowedIdentities>().unwrap_err().to_string();
            assert!(error.contains(found), "{list}: {error}");
        }
    }
}
