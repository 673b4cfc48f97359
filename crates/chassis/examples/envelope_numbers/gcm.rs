//! AES-256-GCM as bodies are encrypted with it (a nonce is drawn, room is found, a call is bound, the plaintext is
//! kept), beside the library that does it in place, with nothing of the kind.

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use chassis::testing::{BareBody, BareGcm};

use super::{Outcome, compare, rate, rate_with};

const KEY: [u8; 32] = [7; 32];
const BYTES: usize = 64 * 1024;
/// As v2 binds a call.
const ASSOCIATED: &[u8] = b"keelson-v2\nrequest\nPOST\n/api/v1/analytics/events?x=1\nuser-service\nanalytics-service\n\
    1700000000\n_tWxBOknfQvrwlG8ilO74g";

pub(crate) fn measure(rounds: usize) -> Outcome<()> {
    let ours = BareGcm::new(&KEY)?;
    let plaintext = vec![1; BYTES];
    let seal = || rate(|| Ok(ours.seal(black_box(&plaintext), ASSOCIATED, |body| black_box(body).len())?));
    let sealed = ours.seal(&plaintext, ASSOCIATED, BareBody::read)?.ok_or("a body that is too short")?;
    let open = || rate_with(|| sealed.clone(), |body| Ok(ours.open(body, ASSOCIATED).ok_or("not authentic")?));
    let (library, mut buffer, mut other) = (Library::new()?, vec![1; BYTES], vec![1; BYTES]);
    compare("null: the library by itself", rounds, || library.seal(&mut other), || library.seal(&mut buffer))?;
    compare("AES-256-GCM, seal, 64 KiB", rounds, seal, || library.seal(&mut buffer))?;
    compare("AES-256-GCM, open, 64 KiB", rounds, open, || library.open())
}

/// The library, and what it is given.
struct Library {
    key: LessSafeKey,
    ciphertext_and_tag: Vec<u8>,
}

impl Library {
    fn new() -> Outcome<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY)?);
        let mut ciphertext_and_tag = vec![1; BYTES];
        key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut ciphertext_and_tag)?;
        Ok(Self { key, ciphertext_and_tag })
    }

    fn seal(&self, buffer: &mut [u8]) -> Outcome<f64> {
        rate(|| Ok(self.key.seal_in_place_separate_tag(nonce(), Aad::empty(), black_box(buffer))?))
    }

    fn open(&self) -> Outcome<f64> {
        let buffer = || self.ciphertext_and_tag.clone();
        rate_with(buffer, |mut buffer| {
            self.key.open_in_place(nonce(), Aad::empty(), &mut buffer)?;
            Ok(buffer)
        })
    }
}

/// The same each time: here nobody has anything to hide.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
