//! The replay cache: full, with the clock turned, and under threads.

use super::*;
use crate::error::{Error, Kind};

fn nonce(number: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&number.to_be_bytes());
    nonce
}

#[test]
fn a_nonce_is_known_for_as_long_as_its_body_is_good() {
    let taken = ReplayCache::default();
    taken.take(nonce(1), NOW, NOW - 60).unwrap();
    for now in [NOW - 60, NOW, NOW + 60] {
        assert_eq!(taken.take(nonce(1), NOW, now), Err(Cause::Replayed), "{now}");
    }
    taken.take(nonce(2), NOW + 61, NOW + 61).unwrap();
    assert_eq!(taken.len(), 1, "nobody can use the first any more");
}

#[test]
fn nonces_that_differ_in_one_bit_are_told_apart() {
    let taken = ReplayCache::default();
    let altered = (0..96).map(|bit| {
        let mut nonce = [7; 12];
        nonce[bit / 8] ^= 1 << (bit % 8);
        nonce
    });
    let nonces: Vec<_> = altered.chain([[7; 12]]).collect();
    for nonce in &nonces {
        taken.take(*nonce, NOW, NOW).unwrap();
    }
    for nonce in nonces {
        assert_eq!(taken.take(nonce, NOW, NOW), Err(Cause::Replayed));
    }
}

#[test]
fn a_full_cache_takes_nothing_and_forgets_nothing() {
    let taken = ReplayCache::with_room_for(3);
    for number in 0..3 {
        taken.take(nonce(number), NOW, NOW).unwrap();
    }
    assert_eq!(taken.take(nonce(3), NOW, NOW), Err(Cause::ReplayCacheFull));
    for number in 0..3 {
        assert_eq!(taken.take(nonce(number), NOW, NOW), Err(Cause::Replayed));
    }
    assert_eq!(taken.len(), 3);
    for number in 0..3 {
        taken.take(nonce(number), NOW + 61, NOW + 61).unwrap();
    }
    assert_eq!(taken.take(nonce(3), NOW + 61, NOW + 61), Err(Cause::ReplayCacheFull));
}

#[test]
fn what_was_forgotten_is_not_taken_when_the_clock_is_turned_back() {
    let taken = ReplayCache::default();
    taken.take(nonce(1), NOW, NOW).unwrap();
    taken.take(nonce(2), NOW + 3600, NOW + 3600).unwrap();
    assert_eq!(taken.take(nonce(1), NOW, NOW), Err(Cause::Expired));
    // What comes after it is taken: a clock that was wrong for a moment stops nothing for longer.
    taken.take(nonce(3), NOW + 1, NOW + 1).unwrap();
    assert_eq!(taken.take(nonce(3), NOW + 1, NOW + 1), Err(Cause::Replayed));
    assert_eq!(taken.take(nonce(2), NOW + 3600, NOW + 3600), Err(Cause::Replayed), "the clock comes there again");
}

#[test]
fn of_many_threads_one_takes_a_body() {
    let taken = ReplayCache::default();
    let successes: usize = std::thread::scope(|scope| {
        let take_all = || (0..1000).filter(|number| taken.take(nonce(*number), NOW, NOW).is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take_all)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((successes, taken.len()), (1000, 1000));
}

#[test]
fn callers_learn_no_cause_but_that_it_may_be_tried_again() {
    for cause in [Cause::Encoding, Cause::Authentication, Cause::Expired, Cause::Replayed, Cause::UnknownKey] {
        let refused = Undecryptable::from(cause);
        assert_eq!(refused.to_string(), "Failed to decrypt request data");
        let error = Error::from(refused);
        assert_eq!((error.kind(), error.to_string()), (Kind::BadRequest, "Failed to decrypt request data".to_owned()));
    }
    assert_eq!(Error::from(Undecryptable::from(Cause::ReplayCacheFull)).kind(), Kind::Overloaded);
}
