//! Why a backend could not be opened: one line for the person who starts the program.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Says what was found, what was expected, and how to fix it. Never shows a whole URL: it may hold a password.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No backend of this kind has the scheme.
    #[error("unknown {kind} scheme `{found}`; the known ones are {known}")]
    UnknownScheme {
        /// What was to be opened.
        kind: &'static str,
        /// What stands before the first colon.
        found: String,
        /// The schemes, with the form of their URL.
        known: &'static str,
    },
    /// The scheme is known and the rest is not as it expects.
    #[error("the {kind} URL is not as expected: {expected}")]
    Malformed {
        /// What was to be opened.
        kind: &'static str,
        /// The form that the scheme expects.
        expected: &'static str,
    },
    /// A file or folder on the local disk is not as needed.
    #[error("{}: {problem}; {remedy}", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A database cannot be reached or is not as needed.
    #[error("the {kind} in {place}: {problem}; {remedy}")]
    Database {
        /// What was to be opened.
        kind: &'static str,
        /// Which one, without user and password.
        place: String,
        /// What was found.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// What sends requests could not be set up.
    #[error("the {kind} has no client: {problem}")]
    Client {
        /// What was to be opened.
        kind: &'static str,
        /// What was found.
        problem: String,
    },
    /// A thread could not be had, or did not come back.
    #[error("no thread for the files: {0}")]
    Thread(#[source] std::io::Error),
    /// The operating system gave no random bytes.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),
}

impl OpenError {
    pub(crate) fn unusable(path: &Path, problem: impl ToString, remedy: impl ToString) -> Self {
        Self::Unusable { path: path.to_owned(), problem: problem.to_string(), remedy: remedy.to_string() }
    }
}
