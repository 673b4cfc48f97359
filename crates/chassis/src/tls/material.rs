//! What the files held when they were right last.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureScheme};
use tracing::{info, warn};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::files::{Contents, Fingerprint};
use super::{TlsError, provider};
use crate::config::TlsConfig;

/// Certificates that belong together.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) identity: Option<Arc<CertifiedKey>>,
    pub(super) authorities: Option<Authorities>,
    /// The certificate before the last change: a handshake of this process with itself may have begun with it.
    before: Option<CertificateDer<'static>>,
    fingerprint: Fingerprint,
}

/// Who issues certificates in this system, as both sides ask for them.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) of_services: Arc<WebPkiServerVerifier>,
    pub(super) of_callers: Arc<dyn ClientCertVerifier>,
}

impl Authorities {
    fn new(roots: Arc<RootCertStore>) -> Result<Self, TlsError> {
        let failed = |cause: &dyn std::fmt::Display| TlsError(format!("TLS_CA_FILE: {cause}"));
        let of_services = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider());
        Ok(Self {
            of_services: of_services.build().map_err(|cause| failed(&cause))?,
            of_callers: WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|cause| failed(&cause))?,
        })
    }
}

impl Material {
    fn of(contents: &Contents, config: &TlsConfig) -> Result<Self, TlsError> {
        let identity = config.identity.as_ref().map(|files| contents.identity(files)).transpose()?.flatten();
        let roots = contents.authorities(config.authorities.as_deref().unwrap_or(Path::new("")))?;
        let authorities = roots.map(Authorities::new).transpose()?;
        Ok(Self { identity, authorities, before: None, fingerprint: contents.fingerprint() })
    }

    fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.identity.as_ref()?.cert.first()
    }

    /// Whether it is the certificate of this process.
    pub(super) fn is_own(&self, certificate: &CertificateDer<'_>) -> bool {
        [self.certificate(), self.before.as_ref()].into_iter().flatten().any(|own| own == certificate)
    }

    /// One that is not good now is shown all the same: the clock may be wrong, and then others decide.
    fn warn_of_its_time(&self) {
        let Some(certificate) = self.certificate() else { return };
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return };
        let validity = certificate.validity();
        if !validity.is_valid() {
            warn!(from = %validity.not_before, until = %validity.not_after, "the certificate in TLS_CERT_FILE is not good now");
        }
    }
}

/// The material of the moment. It changes between two handshakes and never within one.
#[derive(Debug)]
pub(super) struct Current {
    material: RwLock<Arc<Material>>,
    /// What was wrong with the files when they were looked at last.
    trouble: Mutex<Option<TlsError>>,
}

impl Current {
    pub(super) fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let material = Material::of(&Contents::read(config)?, config)?;
        material.warn_of_its_time();
        Ok(Self { material: RwLock::new(Arc::new(material)), trouble: Mutex::default() })
    }

    pub(super) fn material(&self) -> Arc<Material> {
        Arc::clone(&self.material.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what the files hold now, if that is something else, and right. Blocks.
    pub(super) fn look(&self, config: &TlsConfig) {
        let known = self.material();
        let looked = Contents::read(config).and_then(|contents| {
            let is_new = contents.fingerprint() != known.fingerprint;
            is_new.then(|| Material::of(&contents, config)).transpose()
        });
        let (changed, trouble) = match looked {
            Ok(changed) => (changed, None),
            Err(error) => (None, Some(error)),
        };
        let mut before = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cause) = trouble.as_ref().filter(|_| *before != trouble) {
            warn!(%cause, "certificates stay as they were: their files are wrong now");
        }
        *before = trouble;
        if let Some(changed) = changed {
            let is_same = changed.certificate() == known.certificate();
            let before = if is_same { known.before.clone() } else { known.certificate().cloned() };
            let changed = Material { before, ..changed };
            changed.warn_of_its_time();
            *self.material.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed);
            info!("certificates have changed, and count for connections from now on");
        }
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.material().identity.clone()
    }
}

impl ResolvesClientCert for Current {
    /// Whoever asks names no authorities, or those of this system.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let identity = self.material().identity.clone()?;
        identity.key.choose_scheme(schemes).is_some().then_some(identity)
    }

    fn has_certs(&self) -> bool {
        self.material().identity.is_some()
    }
}
