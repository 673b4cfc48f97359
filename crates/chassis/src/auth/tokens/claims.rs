//! What a token says.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Tells the token of a service of the system, which no limit of requests is for, from those of people.
pub const SERVICE_SCOPE: &str = "service";

/// The claims of a user's token (RFC 7519, section 4.1; `scope` is RFC 8693, section 4.2). All of them are required but
/// those that may be absent by their type or default. Times are whole seconds since 1970, in UTC.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id.
    pub sub: String,
    /// The user's name. Personal data, which `Debug` leaves out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What the user may do, separated by spaces.
    #[serde(default)]
    pub scope: String,
    /// Who issued the token.
    pub iss: String,
    /// For whom it is: one audience, never a list.
    pub aud: String,
    /// When it was issued.
    pub iat: i64,
    /// The second from which on it is no longer valid.
    pub exp: i64,
    /// The second before which it is not valid yet. Not set by [`super::TokenIssuer`], and kept to when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The token's own id, a UUIDv7.
    pub jti: String,
}

impl Claims {
    /// Whether the user may do this, for instance `orders:read`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.split_ascii_whitespace().any(|granted| granted == scope)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("sub", &self.sub)
            .field("scope", &self.scope)
            .field("exp", &self.exp)
            .field("jti", &self.jti)
            .finish_non_exhaustive()
    }
}

/// Who issues tokens, and for whom: a token of any other issuer or audience is refused (RFC 8725, sections 3.8, 3.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
}
