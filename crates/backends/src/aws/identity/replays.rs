//! Proofs that were shown, until they are too old to be shown again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// Proofs that are held at once, some 10 MB. Only those count that were accepted, or that STS is being asked about: who
/// has no allowed role fills nothing. When it is full, none is taken, since to forget one would let it in again.
const CAPACITY: usize = 1 << 16;

/// The end of its time first, so that those that have passed are found at once.
type Held = BTreeSet<(Timestamp, String)>;

#[derive(Debug, Default)]
pub(super) struct ShownProofs(Mutex<Held>);

/// Why a proof is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It was shown before.
    Again,
    /// No more can be remembered.
    Full,
}

/// A proof that nobody else can show while this lasts. Dropped, it was worth nothing and is forgotten.
#[derive(Debug)]
#[must_use = "the proof is forgotten unless it is kept"]
pub(super) struct Taken<'a> {
    shown: &'a ShownProofs,
    /// `None` once it is kept.
    proof: Option<(Timestamp, String)>,
}

impl ShownProofs {
    /// Takes the proof with this signature, which is good for nothing after `ends_at`.
    pub(super) fn take(&self, signature: &str, ends_at: Timestamp, now: Timestamp) -> Result<Taken<'_>, NotTaken> {
        let mut held = self.lock();
        while held.first().is_some_and(|(end, _)| *end < now) {
            held.pop_first();
        }
        let proof = (ends_at, signature.to_owned());
        if held.contains(&proof) {
            return Err(NotTaken::Again);
        }
        if held.len() >= CAPACITY {
            return Err(NotTaken::Full);
        }
        held.insert(proof.clone());
        Ok(Taken { shown: self, proof: Some(proof) })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    /// The proof was accepted: it is never taken again.
    pub(super) fn keep(mut self) {
        self.proof = None;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(proof) = self.proof.take() {
            self.shown.lock().remove(&proof);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::clock::Clock;
    use chassis::testing::ManualClock;

    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    #[test]
    fn a_proof_is_taken_once_unless_it_was_worth_nothing() {
        let (shown, now) = (ShownProofs::default(), ManualClock::new().now());
        let ends_at = now + AGE;
        let first = shown.take("a", ends_at, now).unwrap();
        assert_eq!(shown.take("a", ends_at, now).unwrap_err(), NotTaken::Again);
        drop(first);
        shown.take("a", ends_at, now).unwrap().keep();
        assert_eq!(shown.take("a", ends_at, ends_at).unwrap_err(), NotTaken::Again);
        shown.take("b", ends_at, now).unwrap().keep();
    }

    #[test]
    fn no_proof_is_forgotten_before_its_end_and_all_are_after_it() {
        let (shown, now) = (ShownProofs::default(), ManualClock::new().now());
        for number in 0..CAPACITY {
            shown.take(&number.to_string(), now + AGE, now).unwrap().keep();
        }
        assert_eq!(shown.take("one more", now + AGE, now).unwrap_err(), NotTaken::Full);
        assert_eq!(shown.take("0", now + AGE, now).unwrap_err(), NotTaken::Again);
        let later = now + AGE + Duration::from_secs(1);
        shown.take("one more", later + AGE, later).unwrap().keep();
        assert_eq!(shown.lock().len(), 1);
    }
}
