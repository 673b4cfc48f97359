//! TLS of this process: the certificate that its ports and its calls show, and the authorities that they believe.
//!
//! All of it comes from files that others replace while the process runs (`files`), and counts for the next handshake
//! without a restart (`material`, [`Tls::follow`]). What stays is how it is used: `verifier` and `listener` ask for the
//! material of the moment at each handshake.

mod files;
mod follow;
mod listener;
mod material;
#[cfg(test)]
pub(crate) mod pki;
#[cfg(test)]
mod tests;
mod verifier;

use std::fmt;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, client};
use thiserror::Error;

pub(crate) use self::listener::{ListenerTls, speaks_http2};
use self::material::Current;
use self::verifier::ServerVerifier;
use crate::auth::{AllowedIdentities, CertificateAuthenticator};
use crate::config::{ClientAuth, TlsConfig};

/// Why TLS cannot be spoken: the setting with its file, what was found there and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct TlsError(String);

/// The certificates of a process, as they are now.
pub struct Tls {
    config: TlsConfig,
    current: Arc<Current>,
    /// Whom calls believe.
    verifier: Arc<dyn ServerCertVerifier>,
}

impl Tls {
    /// Reads the files; `None` where none is set.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(config: &TlsConfig) -> Result<Option<Arc<Self>>, TlsError> {
        if config.identity.is_none() && config.authorities.is_none() {
            return Ok(None);
        }
        let current = Arc::new(Current::load(config)?);
        let verifier = Arc::new(ServerVerifier::new(Arc::clone(&current)));
        Ok(Some(Arc::new(Self { config: config.clone(), current, verifier })))
    }

    /// Whether ports speak it, and not calls alone.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.config.identity.is_some()
    }

    /// For calls: believes whom the files say, and shows the certificate where it is asked for one.
    ///
    /// # Errors
    /// Never, as far as anybody knows: the versions and ciphers are the library's own.
    pub fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
        let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let config = config.dangerous().with_custom_certificate_verifier(Arc::clone(&self.verifier));
        let shown: Arc<dyn ResolvesClientCert> = Arc::clone(&self.current) as _;
        let mut config = config.with_client_cert_resolver(shown);
        // A session that is resumed is not verified again: it would outlive authorities and certificates.
        config.resumption = client::Resumption::disabled();
        Ok(config)
    }

    /// For a port for callers, and for one that never asks for certificates; `None` where ports speak plain HTTP.
    pub(crate) fn listener(
        &self,
        asks: bool,
        http2: bool,
        identities: &Arc<AllowedIdentities>,
    ) -> Result<Option<ListenerTls>, rustls::Error> {
        if !self.is_served() {
            return Ok(None);
        }
        let client_auth = if asks { self.config.client_auth } else { ClientAuth::Off };
        let authenticator = CertificateAuthenticator::new(Arc::clone(identities));
        ListenerTls::new(&self.current, client_auth, http2, authenticator).map(Some)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("config", &self.config).finish_non_exhaustive()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
