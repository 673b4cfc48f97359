//! The keys of encrypted calls: what is set, and what production asks of it.

use chassis::config::{ChassisConfig, Mistakes, OptionalSetting, Reader, SecretSources, Section, SettingInfo};
use chassis::envelope::KeyRing;
use secrecy::{ExposeSecret, SecretString};

const SHARED: OptionalSetting<SecretString> = OptionalSetting::secret(
    "ENCRYPTION_KEY",
    "The key of encrypted calls that all services share, or a reference to it such as `file:PATH`: 32 random bytes in base64, as `keelson keys generate` or `openssl rand -base64 32` prints, or several keys as a JSON object of ids and keys, of which the first one encrypts and all decrypt. Referenced keys are read again while services run, files within 5 s and others within 5 minutes, so a rotation (`keelson keys rotate`) needs no restart. Old peers may need any other text. Unset, `up` makes a key in the data folder (`secrets/encryption_key`).",
);
const OF_USERS: OptionalSetting<SecretString> = OptionalSetting::secret(
    "USER_ENCRYPTION_KEY",
    "The same for what users sends alone, requests and answers. Whoever talks to users needs it too. Default: `ENCRYPTION_KEY`.",
);
const OF_ANALYTICS: OptionalSetting<SecretString> = OptionalSetting::secret(
    "ANALYTICS_ENCRYPTION_KEY",
    "The same for what analytics sends alone. Default: `ENCRYPTION_KEY`.",
);
const OF_ORDERS: OptionalSetting<SecretString> =
    OptionalSetting::secret("ORDER_ENCRYPTION_KEY", "The same for what orders sends alone. Default: `ENCRYPTION_KEY`.");

pub(super) const SECTION: Section = Section {
    title: "Keys of encrypted calls",
    settings: &[SHARED.info, OF_USERS.info, OF_ANALYTICS.info, OF_ORDERS.info],
};

/// One of these settings.
#[derive(Debug, Clone)]
pub(crate) struct KeySetting {
    pub(crate) info: SettingInfo,
    /// Whose key it is; `None`: everybody's.
    pub(crate) owner: Option<&'static str>,
    /// A ring, or a reference to one.
    pub(crate) text: Option<SecretString>,
}

/// All of them.
#[derive(Debug, Clone)]
pub(crate) struct KeySettings {
    pub(crate) all: Vec<KeySetting>,
    /// Whether a shared key is made where none is set.
    pub(crate) generates: bool,
    demands: Demands,
}

/// What a ring has to be good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demands {
    /// Nobody must guess it.
    is_secret: bool,
    /// Our services encrypt their calls in v2, which takes random keys alone.
    is_random: bool,
}

impl KeySettings {
    pub(super) fn read(reader: &mut Reader<'_>, generates: bool, chassis: &ChassisConfig) -> Self {
        let owners = [None, Some(users::IDENTITY.name), Some(analytics::IDENTITY.name), Some(orders::IDENTITY.name)];
        let settings = [&SHARED, &OF_USERS, &OF_ANALYTICS, &OF_ORDERS].into_iter().zip(owners);
        let read = settings.map(|(setting, owner)| KeySetting {
            info: setting.info,
            owner,
            text: reader.get_optional(setting),
        });
        let all = read.collect();
        let demands = Demands { is_secret: chassis.production, is_random: chassis.encryption.encrypts_calls };
        Self { all, generates, demands }
    }

    /// Finds what is wrong with those that are set here, and whether services can talk with them.
    pub(super) fn check(&self, reader: &mut Reader<'_>, sources: &SecretSources, talks: bool) {
        for setting @ KeySetting { info, text, .. } in &self.all {
            let Some(text) = text else { continue };
            // As with other secrets: taken for the key itself, everybody could guess it.
            if text.expose_secret().starts_with("arn:") {
                reader.refuse(info, "`ssm:` or `secretsmanager:` before the ARN");
            } else if sources.reference(text).is_none()
                && let Err(problem) = self.demands_of(setting).ring(text)
            {
                let line = format!("{}: {problem}", reader.found(info));
                reader.extend(Mistakes::one(line));
            }
        }
        let has_shared = self.generates || self.all.iter().any(|it| it.owner.is_none() && it.text.is_some());
        if talks && self.demands.is_random && !self.has_one_for_each() && !has_shared {
            reader.refuse(
                &SHARED.info,
                "a key or a reference to one such as `file:/run/secrets/encryption_key`, the same for all services; or one of each of them (USER_ENCRYPTION_KEY, ANALYTICS_ENCRYPTION_KEY and ORDER_ENCRYPTION_KEY); or ENCRYPT_CALLS=false, where calls go over a network that encrypts",
            );
        }
    }
}

impl KeySettings {
    /// What the ring of a setting has to be good for. One that nobody speaks v2 with may be any text.
    pub(crate) fn demands_of(&self, setting: &KeySetting) -> Demands {
        let is_for_old_peers = setting.owner.is_none() && self.has_one_for_each();
        Demands { is_random: self.demands.is_random && !is_for_old_peers, ..self.demands }
    }

    pub(super) fn has_any(&self) -> bool {
        self.generates || self.all.iter().any(|setting| setting.text.is_some())
    }

    fn has_one_for_each(&self) -> bool {
        self.all.iter().filter(|setting| setting.owner.is_some()).all(|setting| setting.text.is_some())
    }
}

impl Demands {
    /// The ring of this text.
    pub(crate) fn ring(self, text: &SecretString) -> Result<KeyRing, String> {
        let ring = KeyRing::parse(text).map_err(|error| error.to_string())?;
        if self.is_secret
            && let Some(expected) = ring.check_secrets()
        {
            return Err(format!("expected {expected}"));
        }
        if self.is_random {
            ring.check_random().map_err(|error| error.to_string())?;
        }
        Ok(ring)
    }
}
