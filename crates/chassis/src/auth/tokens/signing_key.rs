//! A key that signs tokens, made of the text of a setting.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};

use super::Claims;
use super::verifying_key::VerifyingKey;

/// Bytes of the id of a secret: enough that two never share one.
const SECRET_KID_BYTES: usize = 16;

/// Signs and verifies with one algorithm, which follows from the key: HS256 for a secret, ES256 for ECDSA on P-256,
/// RS256 for RSA (RFC 7518, section 3.1).
pub struct SigningKey {
    key: EncodingKey,
    verifying: VerifyingKey,
    public: Option<Jwk>,
}

/// Why a text is no signing key. Holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "found {found}; expected a secret of at least 32 bytes, or a private key in PEM, which is ECDSA on P-256 or RSA of \
     2048 to 8192 bits: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` prints one"
)]
pub struct KeyError {
    found: &'static str,
}

/// PEM labels (RFC 7468) of what is no private key that can be read here.
const OTHER_LABELS: &[(&str, &str)] = &[
    ("EC PRIVATE KEY", "an EC key in the form of SEC 1, which `openssl pkcs8 -topk8 -nocrypt` converts"),
    ("ENCRYPTED PRIVATE KEY", "an encrypted private key, which `openssl pkcs8` decrypts"),
    ("PUBLIC KEY", "a public key"),
    ("RSA PUBLIC KEY", "a public key"),
    ("CERTIFICATE", "a certificate"),
];

impl SigningKey {
    /// Reads a text: what holds the first line of a PEM is one (PKCS#8, for RSA PKCS#1 too), anything else is a secret.
    /// How long a secret must be is for `chassis::config::check_secret` to say.
    ///
    /// # Errors
    /// What was found when it is no such key, and how to make one.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let text = text.expose_secret();
        if text.contains("-----BEGIN ") { Self::from_pem(text) } else { Self::from_secret(text) }
    }

    fn from_secret(secret: &str) -> Result<Self, KeyError> {
        if secret.is_empty() {
            return Err(KeyError { found: "an empty text" });
        }
        let secret = secret.as_bytes();
        let key = DecodingKey::from_secret(secret);
        let verifying = VerifyingKey { kid: kid_of_secret(secret), algorithm: Algorithm::HS256, key };
        Ok(Self { key: EncodingKey::from_secret(secret), verifying, public: None })
    }

    fn from_pem(pem: &str) -> Result<Self, KeyError> {
        for (label, found) in OTHER_LABELS {
            if pem.contains(&format!("-----BEGIN {label}-----")) {
                return Err(KeyError { found });
            }
        }
        let (algorithm, key) = if let Ok(key) = EncodingKey::from_rsa_pem(pem.as_bytes()) {
            (Algorithm::RS256, key)
        } else if let Ok(key) = EncodingKey::from_ec_pem(pem.as_bytes()) {
            (Algorithm::ES256, key)
        } else {
            return Err(KeyError { found: "a PEM that is damaged, or no ECDSA or RSA key" });
        };
        Self::from_pair(algorithm, key).map_err(|error| KeyError { found: describe(&error) })
    }

    fn from_pair(algorithm: Algorithm, key: EncodingKey) -> Result<Self, Error> {
        let mut public = Jwk::from_encoding_key(&key, algorithm)?;
        let kid = thumbprint(&public)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        let verifying = VerifyingKey { kid, algorithm, key: DecodingKey::from_jwk(&public)? };
        Ok(Self { key, verifying, public: Some(public) })
    }

    /// The key's id, in the header of each token that it signs. Tells nothing of a secret key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.verifying.kid
    }

    /// The half that others may know; a secret has none.
    pub(super) fn public(&self) -> Option<&Jwk> {
        self.public.as_ref()
    }

    pub(super) fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(super) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let mut header = Header::new(self.verifying.algorithm);
        header.kid = Some(self.kid().to_owned());
        jsonwebtoken::encode(&header, claims, &self.key)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = &self.verifying.algorithm;
        f.debug_struct("SigningKey").field("kid", &self.kid()).field("algorithm", algorithm).finish_non_exhaustive()
    }
}

/// RFC 7638, with SHA-256.
pub(super) fn thumbprint(public: &Jwk) -> Result<String, Error> {
    public.thumbprint(ThumbprintHash::SHA256)
}

/// The message is none that is signed otherwise: those have a dot and no space.
fn kid_of_secret(secret: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"keelson kid");
    let (kid, _rest) = tag.as_ref().split_at(SECRET_KID_BYTES);
    URL_SAFE_NO_PAD.encode(kid)
}

fn describe(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::InvalidRsaKey(reason) if reason == "TooSmall" => "an RSA key of fewer than 2048 bits",
        ErrorKind::InvalidRsaKey(reason) if reason == "TooLarge" => "an RSA key of more than 8192 bits",
        ErrorKind::InvalidEcdsaKey => "an EC key that is damaged, or on another curve than P-256",
        _ => "a damaged private key",
    }
}
