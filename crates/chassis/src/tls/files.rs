//! What the files hold, and what is wrong with them.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use secrecy::{ExposeSecret as _, SecretSlice};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{TlsError, provider};
use crate::config::{TlsConfig, TlsFiles};

/// More is no file of certificates.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The bytes of the files, as they were at one moment.
pub(super) struct Contents {
    certificate: Option<Vec<u8>>,
    key: Option<SecretSlice<u8>>,
    authorities: Option<Vec<u8>>,
}

/// Tells one state of the files from the next without keeping the key.
pub(super) type Fingerprint = Vec<u8>;

impl Contents {
    pub(super) fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        let files = config.identity.as_ref();
        let certificate = files.map(|files| read("TLS_CERT_FILE", &files.certificate)).transpose()?;
        let key = files.map(|files| read("TLS_KEY_FILE", &files.key)).transpose()?;
        let authorities = config.authorities.as_deref().map(|path| read("TLS_CA_FILE", path)).transpose()?;
        Ok(Self { certificate, key: key.map(Into::into), authorities })
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let key = self.key.as_ref().map(|key| key.expose_secret());
        let parts = [self.certificate.as_deref(), key, self.authorities.as_deref()];
        parts.iter().flat_map(|part| digest(&SHA256, part.unwrap_or_default()).as_ref().to_vec()).collect()
    }

    /// The certificate with its key.
    pub(super) fn identity(&self, files: &TlsFiles) -> Result<Option<Arc<CertifiedKey>>, TlsError> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else { return Ok(None) };
        let of_certificate = |found: &str| {
            let expected =
                "a PEM file with the certificate of this process, and then those between it and its authority";
            wrong("TLS_CERT_FILE", &files.certificate, found, expected)
        };
        let of_key = |found: &str| {
            let expected = format!("the private key of the certificate in {} in PEM", files.certificate.display());
            wrong("TLS_KEY_FILE", &files.key, found, &expected)
        };
        let chain = certificates(certificate).map_err(|found| of_certificate(&found))?;
        let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
        if X509Certificate::from_der(leaf).is_err() {
            return Err(of_certificate("a certificate that cannot be read"));
        }
        // Why it is no key is not told: it would be told of a secret.
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret()).map_err(|_| of_key("no private key"))?;
        match CertifiedKey::from_der(chain, key, &provider()) {
            Ok(identity) => Ok(Some(Arc::new(identity))),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(of_key("the key of another certificate"))
            }
            Err(rustls::Error::InvalidCertificate(_)) => Err(of_certificate("a certificate that cannot be used")),
            Err(_) => Err(of_key("a key of a kind that TLS here does not know")),
        }
    }

    /// Those who issue certificates in this system.
    pub(super) fn authorities(&self, path: &Path) -> Result<Option<Arc<RootCertStore>>, TlsError> {
        let Some(authorities) = &self.authorities else { return Ok(None) };
        let expected = "a PEM file with the certificates of authorities";
        let refused = |found: &str| wrong("TLS_CA_FILE", path, found, expected);
        let mut roots = RootCertStore::empty();
        for authority in certificates(authorities).map_err(|found| refused(&found))? {
            roots.add(authority).map_err(|_| refused("a certificate that cannot be one of an authority"))?;
        }
        Ok(Some(Arc::new(roots)))
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let readable = "a PEM file that this process may read";
    let unreadable =
        |cause: std::io::Error| wrong(setting, path, &format!("a file that cannot be read ({cause})"), readable);
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(wrong(setting, path, "no file, or one of more than 4 MiB", readable));
    }
    std::fs::read(path).map_err(unreadable)
}

/// At least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("PEM that cannot be read ({error})"))?;
    if all.is_empty() { Err("no certificate".into()) } else { Ok(all) }
}

fn wrong(setting: &str, path: &Path, found: &str, expected: &str) -> TlsError {
    TlsError(format!("{setting}={}: found {found}, expected {expected}", path.display()))
}
