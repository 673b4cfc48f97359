//! The tokens of users: what signs them, for whom and for how long.

use std::time::Duration;

use secrecy::SecretString;

use super::super::{OptionalSetting, Reader, Section, Setting};
use crate::auth::Parties;

/// What signs tokens, or where it is.
pub const JWT_SECRET_KEY: OptionalSetting<SecretString> = OptionalSetting::secret(
    "JWT_SECRET_KEY",
    "What signs the tokens of users, or a reference to it such as `file:PATH`: a secret of at least 32 bytes (HS256), which every service that takes tokens needs too, or a private key in PEM: P-256 (ES256) or RSA of at least 2048 bits (RS256). A referenced key is read again before it is 5 minutes old, so a rotation needs no restart. Unset, `up` makes a secret in the data folder (`secrets/jwt_secret_key`); `serve users` needs it set.",
);
/// What signed them before the last rotation.
pub const JWT_PREVIOUS_SECRET_KEY: OptionalSetting<SecretString> = OptionalSetting::secret(
    "JWT_PREVIOUS_SECRET_KEY",
    "What `JWT_SECRET_KEY` was before its last rotation: tokens that it signed stay good until they expire. Remove it once `JWT_EXPIRATION_HOURS` have passed, or at once when the old key is known to others.",
);
const JWT_EXPIRATION_HOURS: Setting<usize> =
    Setting::new("JWT_EXPIRATION_HOURS", "24", "How many hours a token is good for, 1 to 8760.");
const JWT_ISSUER: Setting<String> =
    Setting::new("JWT_ISSUER", "keelson", "Who issues tokens: their `iss`, and the only one that is taken.");
const JWT_AUDIENCE: Setting<String> =
    Setting::new("JWT_AUDIENCE", "keelson", "Whom tokens are for: their `aud`, and the only one that is taken.");

pub(super) const SECTION: Section = Section {
    title: "Tokens of users",
    settings: &[
        JWT_SECRET_KEY.info,
        JWT_PREVIOUS_SECRET_KEY.info,
        JWT_EXPIRATION_HOURS.info,
        JWT_ISSUER.info,
        JWT_AUDIENCE.info,
    ],
};

const LONGEST_HOURS: usize = 8760;

/// The tokens of users.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// `JWT_SECRET_KEY`: the key or a reference to it.
    pub key: Option<SecretString>,
    /// `JWT_PREVIOUS_SECRET_KEY`: the key or a reference to it.
    pub previous_key: Option<SecretString>,
    /// `JWT_EXPIRATION_HOURS`.
    pub lifetime: Duration,
    /// `JWT_ISSUER` and `JWT_AUDIENCE`.
    pub parties: Parties,
}

impl TokenConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let hours = reader.get(&JWT_EXPIRATION_HOURS);
        if !(1..=LONGEST_HOURS).contains(&hours) {
            reader.refuse(&JWT_EXPIRATION_HOURS.info, "a number of hours between 1 and 8760");
        }
        let seconds = u64::try_from(hours.clamp(1, LONGEST_HOURS)).unwrap_or_default() * 3600;
        let config = Self {
            key: reader.get_optional(&JWT_SECRET_KEY),
            previous_key: reader.get_optional(&JWT_PREVIOUS_SECRET_KEY),
            lifetime: Duration::from_secs(seconds),
            parties: Parties { issuer: reader.get(&JWT_ISSUER), audience: reader.get(&JWT_AUDIENCE) },
        };
        if config.previous_key.is_some() && config.key.is_none() {
            reader.refuse(&JWT_PREVIOUS_SECRET_KEY.info, "JWT_SECRET_KEY beside it: the key of today");
        }
        config
    }
}
