//! The vectors of the contract and of the specifications, and bodies that somebody tampered with.

mod fernet;
mod gcm;
mod hostile;
mod nonces;
mod replay;
mod ring_texts;
mod rings;
mod rotation;
mod steps;
mod v2;
mod wycheproof;

use jiff::Timestamp;

use super::aes_gcm::AesGcmKey;
use super::*;

/// The time of the contract's vectors.
const NOW: i64 = 1_700_000_000;
/// Their plaintext.
const PLAINTEXT: &[u8] = br#"{"a": 1}"#;
/// The bytes 00 to 1f.
const RANDOM_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The bytes 20 to 3f.
const OTHER_RANDOM_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(&text.into()).unwrap()
}

fn binding(direction: Direction) -> Binding<'static> {
    Binding {
        direction,
        method: "POST",
        path: "/api/v1/analytics/events?x=1",
        sender: b"user-service",
        target: b"analytics-service",
    }
}

fn received(sealed: &Sealed) -> Received<'_> {
    Received { key_id: &sealed.key_id, time: sealed.time, encrypted_data: sealed.encrypted_data.as_bytes() }
}

fn cause<T: std::fmt::Debug>(result: Result<T, Undecryptable>) -> Cause {
    result.unwrap_err().cause()
}

/// Nonce, ciphertext and tag.
fn seal(key: &AesGcmKey, nonce: [u8; 12], plaintext: &[u8], associated: &[u8]) -> Vec<u8> {
    let mut body = vec![0; nonce.len() + plaintext.len() + 16];
    key.seal_with(nonce, plaintext, associated, &mut body).unwrap();
    body
}

/// The text with each of its characters replaced, one at a time.
fn altered(text: &str) -> impl Iterator<Item = String> {
    (0..text.len()).flat_map(move |position| {
        let kept = text.as_bytes()[position];
        b"Ab9=".iter().filter(move |byte| **byte != kept).map(move |byte| {
            let mut altered = text.as_bytes().to_vec();
            altered[position] = *byte;
            String::from_utf8(altered).unwrap()
        })
    })
}

/// The bytes with each of their bits flipped, one at a time.
fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(move |bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// The text without its end, at each length.
fn truncated(text: &str) -> impl Iterator<Item = &str> {
    (0..text.len()).map(move |length| &text[..length])
}
