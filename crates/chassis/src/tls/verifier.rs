//! Whose certificates are good, by the authorities of the moment.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_platform_verifier::Verifier as PlatformVerifier;

use super::material::Current;
use super::provider;

/// Of services that are called.
pub(super) struct ServerVerifier {
    current: Arc<Current>,
    /// Where TLS_CA_FILE is not set. Read when somebody is called: without calls over `https` nobody's certificates need
    /// to be there.
    system: OnceLock<Result<PlatformVerifier, String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    pub(super) fn new(current: Arc<Current>) -> Self {
        let algorithms = provider().signature_verification_algorithms;
        Self { current, system: OnceLock::new(), algorithms }
    }

    fn system(&self) -> Result<&PlatformVerifier, Error> {
        let unknown =
            |cause: Error| format!("the authorities that the system trusts cannot be read: {cause}; set TLS_CA_FILE");
        let system = self.system.get_or_init(|| PlatformVerifier::new(provider()).map_err(unknown));
        system.as_ref().map_err(|problem| Error::General(problem.clone()))
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let material = self.current.material();
        // Services of one process call each other at the address of this machine, which is in few certificates. Whoever
        // shows our own there has our key, which the handshake proves.
        if is_this_machine(name) && material.is_own(certificate) {
            return Ok(ServerCertVerified::assertion());
        }
        match &material.authorities {
            Some(known) => known.of_services.verify_server_cert(certificate, intermediates, name, ocsp, now),
            None => self.system()?.verify_server_cert(certificate, intermediates, name, ocsp, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_this_machine(name: &ServerName<'_>) -> bool {
    match name {
        ServerName::IpAddress(address) => std::net::IpAddr::from(*address).is_loopback(),
        ServerName::DnsName(name) => name.as_ref() == "localhost",
        _ => false,
    }
}

/// Of callers.
pub(super) struct ClientVerifier {
    current: Arc<Current>,
    is_required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    pub(super) fn new(current: Arc<Current>, is_required: bool) -> Self {
        Self { current, is_required, algorithms: provider().signature_verification_algorithms }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    /// Not told: they may change, and a caller has one certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.current.material().authorities {
            Some(known) => known.of_callers.verify_client_cert(certificate, intermediates, now),
            None => Err(Error::General("nobody is trusted".into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier").finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientVerifier").field("is_required", &self.is_required).finish_non_exhaustive()
    }
}
