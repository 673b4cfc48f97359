//! Chance that can be had again.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};

/// Numbers that follow from a seed, which a failed test shows.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    rolls: u64,
}

impl Dice {
    /// With another seed in each run, or that of `KEELSON_TEST_SEED`.
    #[expect(clippy::disallowed_methods, reason = "whoever repeats a run names its seed in the environment")]
    pub(crate) fn new() -> Self {
        let given = std::env::var("KEELSON_TEST_SEED").ok();
        let seed = given.map_or_else(|| RandomState::new().hash_one(()), |seed| seed.parse().unwrap());
        println!("KEELSON_TEST_SEED={seed}");
        Self { seed, rolls: 0 }
    }

    /// Between 0 and 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.rolls += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, self.rolls).hash(&mut hasher);
        f64::from(u32::try_from(hasher.finish() >> 32).unwrap()) / f64::from(u32::MAX)
    }
}
