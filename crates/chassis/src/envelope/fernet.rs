//! Fernet tokens, version 0x80 of <https://github.com/fernet/spec>: what old peers send and read.

use std::fmt;

use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use base64_simd::URL_SAFE;
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;

use super::Cause;
use super::random::draw;

const VERSION: u8 = 0x80;
const TIME_BYTES: usize = 8;
const IV_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;
const MAC_BYTES: usize = 32;
/// Version, time and IV stand before the ciphertext.
const HEAD_BYTES: usize = 1 + TIME_BYTES + IV_BYTES;

/// Bytes of a key: the first half signs, the second encrypts.
pub(super) const KEY_BYTES: usize = 32;

/// Seconds for which a token is good.
const TTL_SECONDS: u64 = 60;
/// Seconds that the clock of whoever made a token may be ahead of ours.
const MAX_CLOCK_SKEW_SECONDS: u64 = 60;

/// A key of both halves.
pub(super) struct FernetKey {
    signing: hmac::Key,
    encrypting: PaddedBlockEncryptingKey,
    decrypting: PaddedBlockDecryptingKey,
}

/// A token of the right form. Nothing is known to be authentic yet.
pub(super) struct Token {
    time: u64,
    iv: [u8; IV_BYTES],
    /// All that the HMAC covers.
    signed: Vec<u8>,
    mac: [u8; MAC_BYTES],
}

/// The bytes of the key that old peers make of a text: its first 32, filled up with the digit zero. What they hand to
/// their library is the base64 of these.
pub(super) fn key_bytes(text: &str) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut bytes = Zeroizing::new([b'0'; KEY_BYTES]);
    for (byte, given) in bytes.iter_mut().zip(text.bytes()) {
        *byte = given;
    }
    bytes
}

impl FernetKey {
    pub(super) fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, Unspecified> {
        let (signing, encryption) = bytes.split_at(KEY_BYTES / 2);
        Ok(Self {
            signing: signing_key(signing),
            encrypting: PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, encryption)?)?,
            decrypting: PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, encryption)?)?,
        })
    }

    /// What stands in `encrypted_data`: the token, which is base64 itself, in base64 once more.
    pub(super) fn encrypt(&self, plaintext: &[u8], now: Timestamp) -> Result<String, Unspecified> {
        Ok(URL_SAFE.encode_to_string(self.token(plaintext, seconds(now), draw()?)?))
    }

    /// The token alone. The IV must be one that nobody could foresee.
    pub(super) fn token(&self, plaintext: &[u8], time: u64, iv: [u8; IV_BYTES]) -> Result<String, Unspecified> {
        let mut ciphertext = Vec::with_capacity(plaintext.len() + BLOCK_BYTES);
        ciphertext.extend_from_slice(plaintext);
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.encrypting.less_safe_encrypt(&mut ciphertext, context)?;
        let mut token = Vec::with_capacity(HEAD_BYTES + ciphertext.len() + MAC_BYTES);
        token.push(VERSION);
        token.extend_from_slice(&time.to_be_bytes());
        token.extend_from_slice(&iv);
        token.extend_from_slice(&ciphertext);
        let mac = hmac::sign(&self.signing, &token);
        token.extend_from_slice(mac.as_ref());
        Ok(URL_SAFE.encode_to_string(token))
    }
}

impl Token {
    /// Reads `encrypted_data`, or a bare token.
    pub(super) fn decode(encrypted_data: &[u8]) -> Result<Self, Cause> {
        let decode = |text: &[u8]| URL_SAFE.decode_to_vec(text).map_err(|_| Cause::Encoding);
        let mut bytes = decode(encrypted_data)?;
        // A token is ASCII, so its text does not begin with the byte that is the version.
        if bytes.first().is_some_and(u8::is_ascii) {
            bytes = decode(&bytes)?;
        }
        let mac = *bytes.last_chunk::<MAC_BYTES>().ok_or(Cause::Length)?;
        bytes.truncate(bytes.len() - MAC_BYTES);
        Self::read(bytes, mac)
    }

    fn read(signed: Vec<u8>, mac: [u8; MAC_BYTES]) -> Result<Self, Cause> {
        let (version, rest) = signed.split_first().ok_or(Cause::Length)?;
        if *version != VERSION {
            return Err(Cause::Version);
        }
        let (time, rest) = rest.split_first_chunk::<TIME_BYTES>().ok_or(Cause::Length)?;
        let (iv, ciphertext) = rest.split_first_chunk::<IV_BYTES>().ok_or(Cause::Length)?;
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK_BYTES) {
            return Err(Cause::Length);
        }
        let (time, iv) = (u64::from_be_bytes(*time), *iv);
        Ok(Self { time, iv, signed, mac })
    }

    /// To the second, both ends included, as the Python library has it.
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), Cause> {
        let now = seconds(now);
        if self.time.saturating_add(TTL_SECONDS) < now {
            return Err(Cause::Expired);
        }
        if now.saturating_add(MAX_CLOCK_SKEW_SECONDS) < self.time {
            return Err(Cause::Future);
        }
        Ok(())
    }

    /// Only what one of the keys has signed is decrypted, with that key: of anything else, whether its padding is right
    /// would tell what is in it.
    pub(super) fn decrypt<'a>(mut self, mut keys: impl Iterator<Item = &'a FernetKey>) -> Result<Vec<u8>, Cause> {
        let key = keys.find(|key| self.is_signed_by(key)).ok_or(Cause::Authentication)?;
        let mut plaintext = self.signed.split_off(HEAD_BYTES);
        let context = DecryptionContext::Iv128(FixedLength::from(self.iv));
        let length = key.decrypting.decrypt(&mut plaintext, context).map_err(|_| Cause::Padding)?.len();
        plaintext.truncate(length);
        Ok(plaintext)
    }

    fn is_signed_by(&self, key: &FernetKey) -> bool {
        is_signature(&key.signing, &self.signed, &self.mac)
    }
}

pub(super) fn signing_key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

/// In a time that tells nothing of the right one.
pub(super) fn is_signature(key: &hmac::Key, signed: &[u8], mac: &[u8]) -> bool {
    hmac::verify(key, signed, mac).is_ok()
}

/// Whole seconds since 1970.
fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}

impl fmt::Debug for FernetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FernetKey").finish_non_exhaustive()
    }
}
