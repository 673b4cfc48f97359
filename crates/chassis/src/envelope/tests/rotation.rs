//! Keys that come and go.

use std::sync::Arc;

use super::*;

fn pair(first: (&str, &str), second: (&str, &str)) -> KeyRing {
    ring(&format!(r#"{{"{}": "{}", "{}": "{}"}}"#, first.0, first.1, second.0, second.1))
}

const OLD: (&str, &str) = ("k1", RANDOM_KEY);
const NEW: (&str, &str) = ("k2", OTHER_RANDOM_KEY);

fn single(key: (&str, &str)) -> KeyRing {
    ring(&format!(r#"{{"{}": "{}"}}"#, key.0, key.1))
}

type Opened = [Result<Vec<u8>, Cause>; 3];

/// A body in each form, of what encrypts now.
struct Bodies {
    fernet: String,
    gcm: String,
    v2: Sealed,
}

impl Bodies {
    fn of(ring: &KeyRing) -> Self {
        Self {
            fernet: ring.encrypt_fernet(PLAINTEXT, at(NOW)).unwrap(),
            gcm: ring.encrypt_gcm(PLAINTEXT).unwrap(),
            v2: ring.encrypt_v2(PLAINTEXT, &binding(Direction::Request), at(NOW)).unwrap(),
        }
    }

    fn open(&self, ring: &KeyRing) -> Opened {
        let v2 = ring.decrypt_v2(&received(&self.v2), &binding(Direction::Request), at(NOW), &ReplayCache::default());
        [ring.decrypt_fernet(self.fernet.as_bytes(), at(NOW)), ring.decrypt_gcm(self.gcm.as_bytes()), v2]
            .map(|opened| opened.map_err(|refused| refused.cause()))
    }

    fn are_good(&self, ring: &KeyRing) {
        let expected: Opened = std::array::from_fn(|_| Ok(PLAINTEXT.to_vec()));
        assert_eq!(self.open(ring), expected);
    }

    fn are_refused(&self, ring: &KeyRing) {
        let expected: Opened = [Cause::Authentication, Cause::Authentication, Cause::UnknownKey].map(Err);
        assert_eq!(self.open(ring), expected);
    }
}

#[test]
fn a_rotation_in_three_steps_refuses_nothing() {
    let steps = [single(OLD), pair(OLD, NEW), pair(NEW, OLD), single(NEW)];
    for neighbours in steps.windows(2) {
        for ring in neighbours {
            let bodies = Bodies::of(ring);
            for other in neighbours {
                bodies.are_good(other);
            }
        }
    }
}

#[test]
fn the_first_key_encrypts_and_the_others_do_not() {
    let bodies = Bodies::of(&pair(NEW, OLD));
    bodies.are_good(&single(NEW));
    bodies.are_refused(&single(OLD));
}

#[test]
fn a_ring_that_is_replaced_counts_no_longer() {
    let keys = EncryptionKeys::new(single(OLD));
    let before = keys.ring();
    let bodies = Bodies::of(&before);
    keys.replace(pair(NEW, OLD));
    bodies.are_good(&keys.ring());
    keys.replace(single(NEW));
    bodies.are_refused(&keys.ring());
    bodies.are_good(&before);
}

#[test]
fn the_same_keys_again_change_nothing() {
    let keys = EncryptionKeys::new(pair(NEW, OLD));
    let before = keys.ring();
    keys.replace(pair(NEW, OLD));
    assert!(Arc::ptr_eq(&before, &keys.ring()), "what was derived is kept");
    for other in [pair(OLD, NEW), single(NEW), single(("k2", RANDOM_KEY)), single(("k3", RANDOM_KEY))] {
        let before = keys.ring();
        keys.replace(other);
        assert!(!Arc::ptr_eq(&before, &keys.ring()));
    }
}
