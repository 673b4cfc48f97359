//! The seeds' names for a server of databases, for whoever does not write a URL.

use std::net::Ipv6Addr;

use chassis::config::{OptionalSetting, Port, Reader, Setting, SettingInfo};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;

/// The settings of one kind of server.
#[derive(Debug)]
pub(super) struct ServerSettings {
    /// The URL that means them.
    pub(super) here: &'static str,
    pub(super) host: Setting<String>,
    pub(super) port: Setting<Port>,
    pub(super) user: User,
    pub(super) password: OptionalSetting<SecretString>,
    pub(super) database: Setting<String>,
    /// What a whole URL says; `None` where it is none of this kind, or is not understood, which whoever opens it says.
    pub(super) parts: fn(&str) -> Option<Parts>,
    /// What follows the database in a URL with a user.
    pub(super) parameters_of_a_user: &'static str,
}

/// The setting of who signs on.
#[derive(Debug)]
pub(super) enum User {
    /// Somebody must.
    Always(Setting<String>),
    /// Nobody must.
    Optional(OptionalSetting<String>),
}

impl User {
    fn info(&self) -> SettingInfo {
        match self {
            Self::Always(setting) => setting.info,
            Self::Optional(setting) => setting.info,
        }
    }

    fn read(&self, reader: &mut Reader<'_>) -> Option<String> {
        match self {
            Self::Always(setting) => Some(reader.get(setting)),
            Self::Optional(setting) => reader.get_optional(setting),
        }
    }
}

/// What a URL says of each of the settings.
#[derive(Debug)]
pub(super) struct Parts {
    /// Or the folder of a socket.
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) database: String,
}

impl ServerSettings {
    /// Whether the seeds' names are used.
    pub(super) fn names_a_server(&self, reader: &Reader<'_>) -> bool {
        reader.is_set(&self.host.info)
    }

    /// Refuses those of a server that is not named: nobody would ask it.
    pub(super) fn refuse_without_host(&self, reader: &mut Reader<'_>) {
        for info in [self.port.info, self.user.info(), self.password.info, self.database.info] {
            if reader.is_set(&info) {
                reader.refuse(&info, &format!("it unset, or {} set: nothing uses it", self.host.info.name));
            }
        }
    }

    /// Refuses a server that nobody would ask.
    pub(super) fn refuse_unused(&self, reader: &mut Reader<'_>, url: &SettingInfo) {
        let url = reader.found(url);
        reader.refuse(&self.host.info, &format!("it unset, or {url} unset: one of the two is not used"));
    }
}

/// One database, and who asks it.
#[derive(Debug, Clone)]
pub(crate) struct ServerPlace {
    settings: &'static ServerSettings,
    host: String,
    port: u16,
    user: Option<String>,
    /// Itself, or a reference to it.
    pub(crate) password: Option<SecretString>,
    database: String,
}

impl ServerPlace {
    pub(super) fn read(settings: &'static ServerSettings, reader: &mut Reader<'_>) -> Self {
        Self {
            settings,
            host: reader.get(&settings.host),
            port: reader.get(&settings.port).0,
            user: settings.user.read(reader),
            password: reader.get_optional(&settings.password),
            database: reader.get(&settings.database),
        }
    }

    /// Whether this URL means these settings.
    pub(super) fn is_meant_by(&self, url: &str) -> bool {
        url == self.settings.here
    }

    /// Refuses a password without a user: nobody would sign on with it.
    pub(super) fn refuse_password_of_nobody(&self, reader: &mut Reader<'_>) {
        if self.user.is_none() && self.password.is_some() {
            let user = self.settings.user.info().name;
            reader.refuse(&self.settings.password.info, &format!("{user} set too, or it unset"));
        }
    }

    /// The variable that holds the password.
    pub(crate) fn password_name(&self) -> &'static str {
        self.settings.password.info.name
    }

    /// Refuses each of these settings that says another thing than a whole URL of this kind does: one of the two would be
    /// ignored, and nobody would know which.
    pub(super) fn refuse_others(&self, reader: &mut Reader<'_>, (setting, url): (&SettingInfo, &str)) {
        let Some(parts) = (self.settings.parts)(url) else { return };
        for (own, agrees) in self.agreements(&parts) {
            if reader.is_set(&own) && !agrees {
                let url = reader.found(setting);
                let here = self.settings.here;
                let expected = format!("what {url} says; remove one: {}, or all of the URL after `{here}`", own.name);
                reader.refuse(&own, &expected);
            }
        }
    }

    fn agreements(&self, parts: &Parts) -> [(SettingInfo, bool); 5] {
        let ServerSettings { host, port, user, password, database, .. } = self.settings;
        let own_host = self.host.trim_start_matches('[').trim_end_matches(']');
        let is_folder = parts.host.starts_with('/');
        let is_host = if is_folder { parts.host == self.host } else { parts.host.eq_ignore_ascii_case(own_host) };
        let exposed = |secret: Option<&SecretString>| secret.map(|it| it.expose_secret().to_owned());
        [
            (host.info, is_host),
            (port.info, parts.port == Some(self.port)),
            (user.info(), parts.user == self.user),
            // A reference to the same password is another spelling of it, which only its source could tell.
            (password.info, exposed(parts.password.as_ref()) == exposed(self.password.as_ref())),
            (database.info, parts.database == self.database),
        ]
    }

    /// As a URL. Whatever stands in a name or password stands for itself.
    pub(crate) fn url(&self, password: Option<&SecretString>) -> Result<SecretString, Failure> {
        // The only character that these setters take for an escape.
        let literal = |text: &str| text.replace('%', "%25");
        let build = || {
            let mut url = Url::parse(&format!("{}//localhost", self.settings.here)).ok()?;
            url.set_host(Some(&self.url_host()?)).ok()?;
            url.set_port(Some(self.port)).ok()?;
            if let Some(user) = &self.user {
                url.set_username(&literal(user)).ok()?;
                url.set_password(password.map(|it| literal(it.expose_secret())).as_deref()).ok()?;
            }
            url.path_segments_mut().ok()?.push(&self.database);
            let parameters = self.settings.parameters_of_a_user;
            url.set_query(Some(parameters).filter(|text| !text.is_empty() && self.user.is_some()));
            Some(SecretString::from(String::from(url)))
        };
        let (name, port) = (self.settings.host.info.name, self.settings.port.info.name);
        let expected = format!("expected the name or address of one server; its port is {port}");
        build().ok_or_else(|| Failure::usage(format!("{name}={}: {expected}", self.host)))
    }

    /// As a URL has it. What follows a colon would be cut off without a word.
    fn url_host(&self) -> Option<String> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<Ipv6Addr>() {
            Ok(address) => Some(format!("[{address}]")),
            Err(_) => (!host.contains(':')).then(|| host.to_owned()),
        }
    }
}
