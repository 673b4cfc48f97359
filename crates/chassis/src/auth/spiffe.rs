//! SPIFFE ids, and the certificates that hold them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

const SCHEME: &str = "spiffe://";
const MAX_BYTES: usize = 2048;
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// The name of one workload: `spiffe://TRUST-DOMAIN/PATH`. Ids are compared byte by byte, so that one which could be
/// written in two ways is none.
///
/// Source: <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpiffeId(String);

/// Why there is no SPIFFE id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoSpiffeId {
    /// The text is none.
    #[error("it is no SPIFFE id of a workload")]
    Malformed,
    /// The bytes are none, or an extension of it cannot be read or is there twice.
    #[error("it is no certificate that can be read")]
    NoCertificate,
    /// The certificate may sign others.
    #[error("it is a certificate of an authority, and none of a workload")]
    Authority,
    /// The certificate names no URI.
    #[error("the certificate holds no SPIFFE id")]
    None,
    /// The certificate names several.
    #[error("the certificate holds more than one URI")]
    Several,
}

impl SpiffeId {
    /// The id in a certificate, which must have been verified: nothing is said here about who issued it.
    ///
    /// # Errors
    /// [`NoSpiffeId`], where validators must refuse it.
    ///
    /// Source: <https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#5-validation>
    pub fn of_certificate(der: &[u8]) -> Result<Self, NoSpiffeId> {
        let unreadable = |_| NoSpiffeId::NoCertificate;
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| NoSpiffeId::NoCertificate)?;
        if !rest.is_empty() {
            return Err(NoSpiffeId::NoCertificate);
        }
        let is_authority = certificate.basic_constraints().map_err(unreadable)?.is_some_and(|it| it.value.ca);
        let usage = certificate.key_usage().map_err(unreadable)?;
        if is_authority || usage.is_some_and(|it| it.value.key_cert_sign() || it.value.crl_sign()) {
            return Err(NoSpiffeId::Authority);
        }
        let names = certificate.subject_alternative_name().map_err(unreadable)?.ok_or(NoSpiffeId::None)?;
        if names.value.general_names.iter().any(|name| matches!(name, GeneralName::Invalid(..))) {
            return Err(NoSpiffeId::NoCertificate);
        }
        let mut uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        match (uris.next(), uris.next()) {
            (None, _) => Err(NoSpiffeId::None),
            (Some(uri), None) => uri.parse(),
            (Some(_), Some(_)) => Err(NoSpiffeId::Several),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose authorities may issue it, such as `example.org`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        let rest = self.0.get(SCHEME.len()..).unwrap_or_default();
        rest.split_once('/').map_or(rest, |(domain, _)| domain)
    }
}

impl FromStr for SpiffeId {
    type Err = NoSpiffeId;

    fn from_str(text: &str) -> Result<Self, NoSpiffeId> {
        let parts = text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/'));
        let (domain, path) = parts.ok_or(NoSpiffeId::Malformed)?;
        let is_of_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_segment = |segment: &str| !["", ".", ".."].contains(&segment) && segment.bytes().all(is_of_path);
        let is_sound = text.len() <= MAX_BYTES
            && (1..=MAX_TRUST_DOMAIN_BYTES).contains(&domain.len())
            && domain.bytes().all(is_of_domain)
            && path.split('/').all(is_segment);
        if is_sound { Ok(Self(text.to_owned())) } else { Err(NoSpiffeId::Malformed) }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType};

    use super::*;

    fn certificate(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["orders.internal".to_owned()]).unwrap();
        let uris = names.iter().map(|name| SanType::URI((*name).try_into().unwrap()));
        params.subject_alt_names.extend(uris);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn an_id_is_a_trust_domain_and_a_path_that_can_be_written_in_one_way() {
        let id: SpiffeId = "spiffe://example.org/ns/shop/sa/orders".parse().unwrap();
        assert_eq!((id.trust_domain(), id.to_string().as_str()), ("example.org", id.as_str()));
        let long = format!("spiffe://{}/a", "a".repeat(256));
        for bad in [
            "",
            "spiffe://",
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe:///a",
            "SPIFFE://example.org/a",
            "spiffe://Example.org/a",
            "spiffe://example.org:80/a",
            "spiffe://a@example.org/a",
            "spiffe://example.org//a",
            "spiffe://example.org/a/",
            "spiffe://example.org/./a",
            "spiffe://example.org/../a",
            "spiffe://example.org/%61",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://example.org/é",
            "https://example.org/a",
            &long,
        ] {
            assert_eq!(bad.parse::<SpiffeId>(), Err(NoSpiffeId::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_certificate_has_the_one_uri_that_it_names() {
        let id = "spiffe://example.org/orders";
        assert_eq!(SpiffeId::of_certificate(&certificate(&[id], |_| {})).unwrap().as_str(), id);
    }

    #[test]
    fn a_certificate_that_validators_must_refuse_has_none() {
        let (id, other) = ("spiffe://example.org/orders", "spiffe://example.org/users");
        let authority = |params: &mut CertificateParams| {
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        };
        let signing = |params: &mut CertificateParams| params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        let revoking = |params: &mut CertificateParams| params.key_usages.push(KeyUsagePurpose::CrlSign);
        let nameless = |params: &mut CertificateParams| params.subject_alt_names.clear();
        for (der, why) in [
            (certificate(&[id, other], |_| {}), NoSpiffeId::Several),
            (certificate(&[id, "https://example.org/a"], |_| {}), NoSpiffeId::Several),
            (certificate(&[], |_| {}), NoSpiffeId::None),
            (certificate(&[], nameless), NoSpiffeId::None),
            (certificate(&["https://example.org/a"], |_| {}), NoSpiffeId::Malformed),
            (certificate(&["spiffe://example.org"], |_| {}), NoSpiffeId::Malformed),
            (certificate(&[id], authority), NoSpiffeId::Authority),
            (certificate(&[id], signing), NoSpiffeId::Authority),
            (certificate(&[id], revoking), NoSpiffeId::Authority),
            (b"no certificate".to_vec(), NoSpiffeId::NoCertificate),
            ([certificate(&[id], |_| {}), vec![0]].concat(), NoSpiffeId::NoCertificate),
        ] {
            assert_eq!(SpiffeId::of_certificate(&der), Err(why));
        }
    }
}
