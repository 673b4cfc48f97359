//! Why a fact could not be had, sorted so that the cure can be named.
//!
//! Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use std::io::ErrorKind;

use sqlx::Error;
use thiserror::Error as ThisError;

use crate::postgres::error::describe;

/// Why PostgreSQL did not say what it was asked. Holds what the server says, which repeats no password.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Trouble {
    /// No address for the server's name.
    #[error("nobody knows the name of the server")]
    UnknownHost,
    /// Nothing listens there, or there is no such socket.
    #[error("nothing listens there: {0}")]
    Refused(String),
    /// No answer within the bound.
    #[error("it did not answer in time")]
    TimedOut,
    /// The line could not be protected as was asked, or its certificate is not trusted.
    #[error("TLS: {0}")]
    Tls(String),
    /// User or password are wrong.
    #[error("{0}")]
    Credentials(String),
    /// No rule of the server lets this user in from here.
    #[error("{0}")]
    NotLetIn(String),
    /// There is no such database.
    #[error("{0}")]
    NoDatabase(String),
    /// The user may not connect to the database.
    #[error("{0}")]
    Denied(String),
    /// The user may connect, and not see what was asked then.
    #[error("{0}")]
    NotShown(String),
    /// No connection is free.
    #[error("{0}")]
    Full(String),
    /// It starts, stops, or is being restored.
    #[error("{0}")]
    NotReady(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What an error means of a question to a database that is connected.
pub(super) fn of_question(error: &Error) -> Trouble {
    match of(error) {
        Trouble::Denied(text) => Trouble::NotShown(text),
        other => other,
    }
}

/// What an error of the driver means while it connects.
pub(super) fn of(error: &Error) -> Trouble {
    let text = describe(error);
    match error {
        Error::Tls(cause) => Trouble::Tls(cause.to_string()),
        Error::Io(cause) => match cause.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => Trouble::Refused(cause.to_string()),
            ErrorKind::TimedOut => Trouble::TimedOut,
            // The handshake of TLS speaks so of certificates.
            ErrorKind::InvalidData => Trouble::Tls(cause.to_string()),
            _ => Trouble::Other(text),
        },
        Error::Database(refusal) => match refusal.code().as_deref() {
            Some("28P01") => Trouble::Credentials(text),
            Some("28000") => Trouble::NotLetIn(text),
            Some("3D000") => Trouble::NoDatabase(text),
            Some("42501") => Trouble::Denied(text),
            Some("53300") => Trouble::Full(text),
            Some("57P01" | "57P02" | "57P03") => Trouble::NotReady(text),
            Some("57014" | "55P03") => Trouble::TimedOut,
            _ => Trouble::Other(text),
        },
        _ => Trouble::Other(text),
    }
}

/// Whether the server ended a question that took too long.
pub(super) fn is_too_slow(error: &Error) -> bool {
    error.as_database_error().and_then(|refusal| refusal.code()).as_deref() == Some("57014")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_line_are_sorted_by_their_cure() {
        let of_line = |kind: ErrorKind| of(&Error::Io(kind.into()));
        assert!(matches!(of_line(ErrorKind::ConnectionRefused), Trouble::Refused(_)));
        assert!(matches!(of_line(ErrorKind::NotFound), Trouble::Refused(_)));
        assert!(matches!(of_line(ErrorKind::InvalidData), Trouble::Tls(_)));
        assert_eq!(of_line(ErrorKind::TimedOut), Trouble::TimedOut);
        assert!(matches!(of_line(ErrorKind::ConnectionReset), Trouble::Other(_)));
        assert!(matches!(of(&Error::Tls("no".into())), Trouble::Tls(_)));
    }
}
