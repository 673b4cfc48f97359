//! Authorities and certificates of tests.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use tempfile::TempDir;

use crate::config::{ClientAuth, TlsConfig, TlsFiles};

/// The name of every service of tests.
pub(crate) const NAME: &str = "orders.internal";
pub(crate) const ORDERS: &str = "spiffe://example.org/orders";

/// Issues certificates.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// For a service called `NAME` or 127.0.0.1, as server and as client, with this SPIFFE id.
    pub(crate) fn issue(&self, id: &str) -> Issued {
        self.issue_with(id, |_| {})
    }

    pub(crate) fn issue_with(&self, id: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.subject_alt_names.push(SanType::URI(id.try_into().unwrap()));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// One that was good until the end of 2020.
    pub(crate) fn issue_expired(&self, id: &str) -> Issued {
        self.issue_with(id, |params| {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 12, 31));
        })
    }
}

/// Where a process has its files.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn of(authority: &Authority, issued: &Issued) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put(issued);
        folder.write("ca.pem", &authority.pem());
        folder
    }

    pub(crate) fn put(&self, issued: &Issued) {
        self.write("cert.pem", &issued.certificate);
        self.write("key.pem", &issued.key);
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(self.0.path()).join(name)
    }

    pub(crate) fn config(&self, client_auth: ClientAuth) -> TlsConfig {
        let identity = Some(TlsFiles { certificate: self.path("cert.pem"), key: self.path("key.pem") });
        TlsConfig { identity, authorities: Some(self.path("ca.pem")), client_auth }
    }
}
