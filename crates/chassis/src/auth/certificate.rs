//! A service that shows a client certificate.

use std::sync::Arc;

use async_trait::async_trait;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{AllowedIdentities, Claims, SERVICE_SCOPE, ServiceAuthenticator, ServiceIdentity, SpiffeId, Unverified};

/// Knows services by the SPIFFE ids in their certificates. Whether a certificate is good, and whether its bearer has the
/// key, TLS has found out before: what is asked here was shown in a handshake that succeeded.
#[derive(Debug, Clone)]
pub struct CertificateAuthenticator {
    identities: Arc<AllowedIdentities>,
}

impl CertificateAuthenticator {
    /// Knows those of the list.
    #[must_use]
    pub fn new(identities: Arc<AllowedIdentities>) -> Self {
        Self { identities }
    }

    /// Which service shows this certificate.
    fn identify(&self, der: &[u8]) -> Result<ServiceIdentity, Unverified> {
        let id = SpiffeId::of_certificate(der).map_err(|error| Unverified::Refused(error.to_string()))?;
        match self.identities.scopes(id.as_str()) {
            Some(scopes) => Ok(ServiceIdentity { subject: id.to_string(), scopes: scopes.to_vec() }),
            None => Err(Unverified::Refused(format!("{id} is not in SERVICE_IDENTITIES"))),
        }
    }

    /// What whoever shows this certificate may do, as if a token said so. Its time is the connection's to look at.
    ///
    /// # Errors
    /// [`Unverified::Refused`]: it is none of a service.
    pub(crate) fn claims(&self, der: &[u8]) -> Result<Claims, Unverified> {
        let ServiceIdentity { subject, scopes } = self.identify(der)?;
        let issuer = subject.parse::<SpiffeId>().map(|id| id.trust_domain().to_owned()).unwrap_or_default();
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).chain([SERVICE_SCOPE]).collect();
        Ok(Claims {
            scope: scopes.join(" "),
            sub: subject,
            username: None,
            iss: issuer,
            aud: String::new(),
            iat: 0,
            exp: i64::MAX,
            nbf: None,
            jti: String::new(),
        })
    }
}

/// The second since 1970 at which a certificate is no longer good; 0 for what is none.
pub(crate) fn expires_at(der: &[u8]) -> u64 {
    let parsed = X509Certificate::from_der(der).map(|(_, certificate)| certificate.validity().not_after.timestamp());
    parsed.ok().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default()
}

#[async_trait]
impl ServiceAuthenticator for CertificateAuthenticator {
    /// What is shown is the certificate of the caller in DER.
    async fn authenticate(&self, shown: &[u8]) -> Result<ServiceIdentity, Unverified> {
        self.identify(shown)
    }
}
