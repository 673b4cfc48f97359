//! Passwords: hashed with Argon2id on threads of their own, and refused when everybody guesses them.
//!
//! Who may guess how often is the matter of [`super::GuessLimits`].

use std::io;

use argon2::Params;
use argon2::password_hash::phc::Output;
use secrecy::SecretString;

use crate::telemetry::metrics::Metrics;

mod error;
mod memory;
mod metrics;
mod phc;
mod pool;
#[cfg(test)]
mod tests;
mod weakness;

pub use error::PasswordError;
pub use phc::PasswordHash;
pub use pool::PoolSize;
pub use weakness::{Weakness, weakness_of};

use metrics::PoolMetrics;
use phc::{Recipe, Stored};
use pool::Pool;

/// Bytes of the result.
const OUTPUT_BYTES: usize = 32;

/// What a password is, compared with a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The right one.
    Right,
    /// The right one, but its hash was made with other parameters: hash it anew and store that.
    RightButOutdated,
    /// Not the right one, or there is none.
    Wrong,
}

/// Hashes passwords with Argon2id, m = 19 MiB, t = 2, p = 1: some 20 ms on a fast core.
///
/// A bounded number is hashed at once, on threads of their own with a lower priority, so that a flood of logins leaves
/// everything else served; a bounded number of callers waits, and more are refused at once. A caller that leaves while it
/// waits takes its work along.
///
/// Source: <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>, RFC 9106
#[derive(Debug)]
pub struct PasswordHasher {
    pool: Pool,
    params: Params,
    /// Stands in where there is no hash, so that an unknown user costs what a known one does.
    dummy: Stored,
}

impl PasswordHasher {
    /// Starts the threads, which end when the hasher is dropped, and registers their metrics: calls that wait, calls that
    /// were refused, and the duration of hashes, whose count is their number. A service has one hasher.
    ///
    /// # Errors
    /// When a thread cannot be started, or the operating system gives no randomness.
    pub fn start(size: PoolSize, metrics: &Metrics) -> io::Result<Self> {
        let params = Params::new(19 * 1024, 2, 1, Some(OUTPUT_BYTES)).map_err(io::Error::other)?;
        Self::with_params(params, size, metrics)
    }

    pub(crate) fn with_params(params: Params, size: PoolSize, metrics: &Metrics) -> io::Result<Self> {
        let output = Output::new(&[0; OUTPUT_BYTES]).map_err(io::Error::other)?;
        let dummy = Stored { recipe: Recipe::new(params.clone()).map_err(io::Error::other)?, output };
        let pool = Pool::start(size, params.block_count(), PoolMetrics::register(metrics))?;
        Ok(Self { pool, params, dummy })
    }

    /// Hashes a new password, with a random salt of 16 bytes.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] when too many wait, [`PasswordError::Failed`] by a fault of the machine.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash, PasswordError> {
        let recipe = Recipe::new(self.params.clone())?;
        let output = self.run(&recipe, password).await?;
        Stored { recipe, output }.to_hash()
    }

    /// Compares a password with the stored hash of a user. `None` stands for a user that is unknown, inactive or without a
    /// password: it takes as long as for any other, and no password is right.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] when too many wait. [`PasswordError::Damaged`] at once, for a hash that is none of Argon2 or
    /// asks for more than 256 MiB or 10 passes. [`PasswordError::Failed`] by a fault of the machine.
    pub async fn verify(&self, password: SecretString, stored: Option<PasswordHash>) -> Result<Check, PasswordError> {
        let known = stored.as_ref().map(PasswordHash::parse).transpose()?;
        let expected = known.as_ref().unwrap_or(&self.dummy);
        let is_same = bool::from(expected.is(&self.run(&expected.recipe, password).await?));
        Ok(match known {
            Some(known) if is_same && known.recipe.is_up_to_date(&self.params) => Check::Right,
            Some(_) if is_same => Check::RightButOutdated,
            _ => Check::Wrong,
        })
    }

    async fn run(&self, recipe: &Recipe, password: SecretString) -> Result<Output, PasswordError> {
        let recipe = recipe.clone();
        self.pool.run(Box::new(move |memory| recipe.hash(&password, memory))).await
    }
}
