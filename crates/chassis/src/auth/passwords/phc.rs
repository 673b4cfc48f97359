//! Stored password hashes: PHC strings, what stands in them, and what is accepted of it.
//!
//! Source: <https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>

use std::fmt;

use argon2::password_hash::phc;
use argon2::password_hash::phc::{Ident, Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};

use super::PasswordError;
use super::memory::Memory;

/// Bytes of a salt (RFC 9106, section 3.1).
const SALT_BYTES: usize = 16;
/// The largest memory that a stored hash may ask for. No more than a damaged one, or one that somebody planted, gets.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// The most passes that a stored hash may ask for.
const MAX_PASSES: u32 = 10;

/// The hash of a password as it is stored: a PHC string. Prints its algorithm and parameters alone.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// What a store has kept. Whether it is a hash shows when a password is verified.
    #[must_use]
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What a store has to keep: some 100 characters of ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The work that this hash stands for, and its result.
    pub(super) fn parse(&self) -> Result<Stored, PasswordError> {
        let damaged = |found: &str| PasswordError::Damaged(format!("expected a PHC string of Argon2, found {found}"));
        let unreadable = |error: &dyn fmt::Display| damaged(&format!("what cannot be read: {error}"));
        let hash = phc::PasswordHash::new(&self.0).map_err(|error| unreadable(&error))?;
        let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
            return Err(damaged("one without salt or result"));
        };
        let algorithm = Algorithm::new(hash.algorithm).map_err(|_| damaged("another algorithm"))?;
        // Strings from before version 19 name none.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(|_| damaged("a version other than 16 and 19"))?;
        let params = Params::try_from(&hash).map_err(|error| unreadable(&error))?;
        if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES {
            let (memory, passes) = (params.m_cost(), params.t_cost());
            let found = format!("m={memory},t={passes}, over m={MAX_MEMORY_KIB},t={MAX_PASSES}");
            return Err(damaged(&found));
        }
        Ok(Stored { recipe: Recipe { algorithm, version, params, salt }, output })
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parse() {
            Ok(stored) => write!(f, "PasswordHash({:?})", stored.recipe),
            Err(_) => f.write_str("PasswordHash(damaged)"),
        }
    }
}

/// All that the result depends on, but the password.
#[derive(Clone)]
pub(super) struct Recipe {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
}

impl Recipe {
    /// Argon2id with a salt of its own.
    pub(super) fn new(params: Params) -> Result<Self, PasswordError> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)
            .map_err(|error| PasswordError::Failed(format!("no randomness for a salt: {error}")))?;
        let salt = Salt::new(&salt).map_err(failed)?;
        Ok(Self { algorithm: Algorithm::Argon2id, version: Version::V0x13, params, salt })
    }

    /// Whether it is what [`Recipe::new`] would make today.
    pub(super) fn is_up_to_date(&self, params: &Params) -> bool {
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && self.params == *params
            && self.salt.len() >= SALT_BYTES
    }

    /// Hashes a password, for as long as the parameters say: for a thread that may block.
    pub(super) fn hash(&self, password: &SecretString, memory: &mut Memory) -> Result<Output, PasswordError> {
        let blocks = memory.blocks(self.params.block_count())?;
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        let mut output = [0; Output::MAX_LENGTH];
        let output = &mut output[..self.params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
        argon2
            .hash_password_into_with_memory(password.expose_secret().as_bytes(), &self.salt, output, blocks)
            .map_err(failed)?;
        Output::new(output).map_err(failed)
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, params) = (u32::from(self.version), &self.params);
        let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        write!(f, "{} v={version} m={memory},t={passes},p={lanes}", self.algorithm)
    }
}

/// A stored hash, read.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) recipe: Recipe,
    pub(super) output: Output,
}

impl Stored {
    /// Whether this is the same result, found out in constant time.
    pub(super) fn is(&self, output: &Output) -> Choice {
        self.output.as_bytes().ct_eq(output.as_bytes())
    }

    /// As a store keeps it.
    pub(super) fn to_hash(&self) -> Result<PasswordHash, PasswordError> {
        let Recipe { algorithm, version, params, salt } = &self.recipe;
        let hash = phc::PasswordHash {
            algorithm: Ident::from(*algorithm),
            version: Some((*version).into()),
            params: ParamsString::try_from(params).map_err(failed)?,
            salt: Some(*salt),
            hash: Some(self.output),
        };
        Ok(PasswordHash(hash.to_string()))
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({:?})", self.recipe)
    }
}

fn failed(error: impl fmt::Display) -> PasswordError {
    PasswordError::Failed(error.to_string())
}
