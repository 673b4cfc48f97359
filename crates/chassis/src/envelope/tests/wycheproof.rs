//! Wycheproof (<https://github.com/C2SP/wycheproof>): what the three forms stand on, against vectors that others have
//! made to break it. How many of them apply is asserted, so that none is left out unnoticed.

use ::wycheproof::{TestResult, aead, cipher, mac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::super::aes_gcm::Body;
use super::super::fernet::{FernetKey, Token, is_signature, signing_key};
use super::*;

const KEY_BITS: usize = 256;
const NONCE_BITS: usize = 96;
const TAG_BITS: usize = 128;
const MAC_BITS: usize = 256;
/// Of the half of a Fernet key that encrypts.
const FERNET_KEY_BITS: usize = 128;
/// The other half: any will do, since no HMAC is looked at here.
const SIGNING_KEY: [u8; 16] = [7; 16];

/// How many vectors were good, and how many were refused.
#[derive(Debug, Default, PartialEq)]
struct Count {
    valid: usize,
    invalid: usize,
}

impl Count {
    fn add(&mut self, result: TestResult) {
        match result {
            TestResult::Valid => self.valid += 1,
            TestResult::Invalid => self.invalid += 1,
            TestResult::Acceptable => panic!("either is right, so it proves nothing"),
        }
    }
}

#[test]
fn aes_gcm_makes_and_reads_the_good_vectors_and_refuses_the_others() {
    let mut count = Count::default();
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let is_ours = |group: &&aead::TestGroup| {
        (group.key_size, group.nonce_size, group.tag_size) == (KEY_BITS, NONCE_BITS, TAG_BITS)
    };
    for vector in set.test_groups.iter().filter(is_ours).flat_map(|group| &group.tests) {
        let key = AesGcmKey::new(&vector.key.as_ref().try_into().unwrap()).unwrap();
        let nonce = vector.nonce.as_ref().try_into().unwrap();
        let body = [vector.nonce.as_ref(), &vector.ct, &vector.tag].concat();
        let sealed = seal(&key, nonce, &vector.pt, &vector.aad);
        let opened = key.open(Body::decode(STANDARD.encode(&body).as_bytes()).unwrap(), &vector.aad);
        if vector.result.must_fail() {
            assert_eq!(opened, None, "{}: {}", vector.tc_id, vector.comment);
            assert_ne!(sealed, body, "{}", vector.tc_id);
        } else {
            assert_eq!(opened.as_deref(), Some(vector.pt.as_ref()), "{}: {}", vector.tc_id, vector.comment);
            assert_eq!(sealed, body, "{}", vector.tc_id);
        }
        count.add(vector.result);
    }
    assert_eq!(count, Count { valid: 39, invalid: 27 });
}

/// Fernet has whole HMACs: a half of one is refused, though it is the right half.
#[test]
fn hmac_takes_the_good_vectors_that_are_whole_and_no_other() {
    let (mut whole, mut truncated) = (Count::default(), Count::default());
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    for group in &set.test_groups {
        for vector in &group.tests {
            let is_taken = is_signature(&signing_key(&vector.key), &vector.msg, &vector.tag);
            let expected = group.tag_size == MAC_BITS && vector.result == TestResult::Valid;
            assert_eq!(is_taken, expected, "{}: {}", vector.tc_id, vector.comment);
            let count = if group.tag_size == MAC_BITS { &mut whole } else { &mut truncated };
            count.add(vector.result);
        }
    }
    assert_eq!(whole, Count { valid: 33, invalid: 54 });
    assert_eq!(truncated, whole);
}

/// Each is put into a token that is signed, so that the padding alone decides.
#[test]
fn aes_cbc_makes_and_reads_the_good_vectors_and_refuses_the_others() {
    let mut count = Count::default();
    let set = cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap();
    let is_ours = |group: &&cipher::TestGroup| group.key_size == FERNET_KEY_BITS;
    for vector in set.test_groups.iter().filter(is_ours).flat_map(|group| &group.tests) {
        let key = [&SIGNING_KEY, vector.key.as_ref()].concat();
        let key = FernetKey::new(&key.try_into().unwrap()).unwrap();
        let expected = token(&vector.nonce, &vector.ct);
        let opened = Token::decode(expected.as_bytes()).and_then(|token| token.decrypt(std::iter::once(&key)));
        if vector.result.must_fail() {
            let refused = if vector.ct.is_empty() { Cause::Length } else { Cause::Padding };
            assert_eq!(opened, Err(refused), "{}: {}", vector.tc_id, vector.comment);
        } else {
            assert_eq!(opened.as_deref(), Ok(vector.pt.as_ref()), "{}: {}", vector.tc_id, vector.comment);
            let made = key.token(&vector.pt, 0, vector.nonce.as_ref().try_into().unwrap()).unwrap();
            assert_eq!(made, expected, "{}", vector.tc_id);
        }
        count.add(vector.result);
    }
    assert_eq!(count, Count { valid: 24, invalid: 48 });
}

/// Of the beginning of 1970.
fn token(iv: &[u8], ciphertext: &[u8]) -> String {
    let signed = [&[0x80, 0, 0, 0, 0, 0, 0, 0, 0], iv, ciphertext].concat();
    let signature = aws_lc_rs::hmac::sign(&signing_key(&SIGNING_KEY), &signed);
    URL_SAFE.encode([signed.as_slice(), signature.as_ref()].concat())
}
