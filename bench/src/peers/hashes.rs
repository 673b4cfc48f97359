//! Hashes a password with Argon2id again and again: what the processor can do of that, and nothing around it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use chassis::auth::{PasswordHasher, PoolSize};
use chassis::telemetry::metrics::Metrics;
use std::num::NonZeroUsize;

use super::{crew, runtime};

const PASSWORD: &[u8] = b"a password of the benchmarks";
const SALT: &[u8] = b"sixteen bytes, 1";

/// Each thread has its memory from the beginning to the end.
pub(super) fn run(threads: usize, length: Duration) -> Result<()> {
    let params = params_of_the_product()?;
    crew::run(threads, length, || {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut blocks = vec![Block::new(); params.block_count()];
        let mut output = vec![0; params.output_len().context("no length of a hash")?];
        Ok(move || Ok(argon2.hash_password_into_with_memory(PASSWORD, SALT, &mut output, &mut blocks)?))
    })
}

/// As they stand in a hash that its hasher makes.
fn params_of_the_product() -> Result<Params> {
    let hasher = PasswordHasher::start(PoolSize::of(NonZeroUsize::MIN), &Metrics::new("bench", "0"))?;
    let hash = runtime()?.block_on(hasher.hash("a password of the benchmarks".into()))?;
    let hash = PasswordHash::new(hash.as_str())?;
    Ok(Params::try_from(&hash)?)
}
