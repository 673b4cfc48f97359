//! TLS: what listeners and calls of other services prove themselves with, and whom they believe.

use std::path::PathBuf;

use super::super::{FromText, OptionalSetting, Reader, Section};

const TLS_CERT_FILE: OptionalSetting<PathBuf> = OptionalSetting::new(
    "TLS_CERT_FILE",
    "A PEM file with the certificate of this process and then those between it and its authority. With it every port speaks TLS 1.2 and 1.3 and nothing else; `INTERNAL_PORT` too, but without asking for the certificates of callers. Calls of other services over `https` show it where they are asked for one. It is read again when it changes. Unset, ports speak plain HTTP.",
);
const TLS_KEY_FILE: OptionalSetting<PathBuf> = OptionalSetting::new(
    "TLS_KEY_FILE",
    "A PEM file with the private key of the certificate in `TLS_CERT_FILE` (PKCS #8, PKCS #1 or SEC 1).",
);
const TLS_CA_FILE: OptionalSetting<PathBuf> = OptionalSetting::new(
    "TLS_CA_FILE",
    "A PEM file with the authorities that issue certificates in this system. Services that are called over `https` are checked against these and not against those of the operating system, and so are the certificates of callers: each of these authorities may issue any SPIFFE id. It is read again when it changes.",
);
const TLS_CLIENT_AUTH: OptionalSetting<ClientAuth> = OptionalSetting::new(
    "TLS_CLIENT_AUTH",
    "Whether callers are asked for a certificate of `TLS_CA_FILE`: `off`, `optional` (who shows none is served, who shows a bad one is not), or `required` (who shows none is refused before any request). `SERVICE_IDENTITIES` says what a certificate lets its bearer do. Default: `optional` with `TLS_CERT_FILE` and `TLS_CA_FILE`, else `off`.",
);

pub(super) const SECTION: Section = Section {
    title: "TLS",
    settings: &[TLS_CERT_FILE.info, TLS_KEY_FILE.info, TLS_CA_FILE.info, TLS_CLIENT_AUTH.info],
};

/// What listeners and calls of other services prove themselves with, and whom they believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// `TLS_CERT_FILE` and `TLS_KEY_FILE`; `None`: ports speak plain HTTP.
    pub identity: Option<TlsFiles>,
    /// `TLS_CA_FILE`; `None`: those of the operating system.
    pub authorities: Option<PathBuf>,
    /// `TLS_CLIENT_AUTH`.
    pub client_auth: ClientAuth,
}

/// A certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// `TLS_CERT_FILE`.
    pub certificate: PathBuf,
    /// `TLS_KEY_FILE`.
    pub key: PathBuf,
}

/// Whether callers are asked for a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nobody is asked.
    #[default]
    Off,
    /// Who shows none is served.
    Optional,
    /// Who shows none is refused in the handshake.
    Required,
}

impl FromText for ClientAuth {
    const EXPECTED: &'static str = "`off`, `optional` or `required`";

    fn from_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "off" => Some(Self::Off),
            "optional" => Some(Self::Optional),
            "required" => Some(Self::Required),
            _ => None,
        }
    }
}

impl TlsConfig {
    /// Reads the settings without a look at the files.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let (certificate, key) = (reader.get_optional(&TLS_CERT_FILE), reader.get_optional(&TLS_KEY_FILE));
        let authorities = reader.get_optional(&TLS_CA_FILE);
        let asked = reader.get_optional(&TLS_CLIENT_AUTH);
        match (&certificate, &key) {
            (Some(_), None) => {
                reader.refuse(&TLS_KEY_FILE.info, "the private key of TLS_CERT_FILE, or neither of them")
            }
            (None, Some(_)) => {
                reader.refuse(&TLS_CERT_FILE.info, "the certificate of TLS_KEY_FILE, or neither of them")
            }
            _ => {}
        }
        if asked.is_some_and(|asked| asked != ClientAuth::Off) {
            if certificate.is_none() {
                let expected = "`off`, or TLS_CERT_FILE set: only a port that speaks TLS asks for certificates";
                reader.refuse(&TLS_CLIENT_AUTH.info, expected);
            } else if authorities.is_none() {
                let expected = "`off`, or TLS_CA_FILE set: the certificates of callers are checked against it";
                reader.refuse(&TLS_CLIENT_AUTH.info, expected);
            }
        }
        let identity = certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key });
        let by_default = match (&identity, &authorities) {
            (Some(_), Some(_)) => ClientAuth::Optional,
            _ => ClientAuth::Off,
        };
        Self { identity, authorities, client_auth: asked.unwrap_or(by_default) }
    }

    /// How the ports are addressed: `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.identity.is_some() { "https" } else { "http" }
    }
}
