//! Encrypted calls: who has to encrypt. Which keys there are is the process's to say.

use super::super::{OptionalSetting, Reader, Section, Setting};

const ENCRYPT_CALLS: OptionalSetting<bool> = OptionalSetting::new(
    "ENCRYPT_CALLS",
    "Whether calls between the services of the system are encrypted, and requests of services to `POST /api/v1/users/register` and `POST /api/v1/analytics/events` have to be. Users, orders and analytics need `ENCRYPTION_KEY` for that, or a key of each of them; calls by name of the other services are encrypted where they have `ENCRYPTION_KEY`. Default: true in production, and where `REQUIRE_ENCRYPTION` is.",
);
const REQUIRE_ENCRYPTION: Setting<bool> = Setting::new(
    "REQUIRE_ENCRYPTION",
    "false",
    "Whether those two routes take encrypted requests alone, whoever sends them: apps and browsers too.",
);
const ALLOW_LEGACY_GCM: OptionalSetting<bool> = OptionalSetting::new(
    "ALLOW_LEGACY_GCM",
    "Whether requests in the first GCM form (`X-Encrypted-Payload: true`) are taken, for old peers: whoever has seen one may send it again, at any time. Default: false in production.",
);

pub(super) const SECTION: Section = Section {
    title: "Encrypted calls",
    settings: &[ENCRYPT_CALLS.info, REQUIRE_ENCRYPTION.info, ALLOW_LEGACY_GCM.info],
};

/// Who has to encrypt, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionConfig {
    /// `ENCRYPT_CALLS`.
    pub encrypts_calls: bool,
    /// `REQUIRE_ENCRYPTION`.
    pub required: bool,
    /// `ALLOW_LEGACY_GCM`.
    pub takes_gcm: bool,
}

impl EncryptionConfig {
    pub(super) fn read(reader: &mut Reader<'_>, production: bool) -> Self {
        let required = reader.get(&REQUIRE_ENCRYPTION);
        let config = Self {
            encrypts_calls: reader.get_optional(&ENCRYPT_CALLS).unwrap_or(production || required),
            required,
            takes_gcm: reader.get_optional(&ALLOW_LEGACY_GCM).unwrap_or(!production),
        };
        if config.required && !config.encrypts_calls {
            reader.refuse(&ENCRYPT_CALLS.info, "true, where REQUIRE_ENCRYPTION is: these services call each other too");
        }
        config
    }
}
