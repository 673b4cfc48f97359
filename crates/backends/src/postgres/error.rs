//! What went wrong, by its meaning.
//!
//! Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use sqlx::Error;

use crate::sql::SqlError;

/// Our error for one of the driver. Nothing of ours that is secret or personal is in what the server says:
/// values travel apart from the statement.
pub(crate) fn sort(error: &Error) -> SqlError {
    match code(error).as_deref() {
        // Cancelled by the time limit of statements, or of waiting for a lock.
        Some("57014" | "55P03") => SqlError::Timeout,
        Some("23505") => SqlError::Taken,
        Some(code) if code.starts_with("40") => SqlError::Undone(describe(error)),
        Some(code) if is_of_the_server(code) => SqlError::Unavailable(describe(error)),
        Some(_) => SqlError::Other(describe(error)),
        None if is_of_the_line(error) => SqlError::Unavailable(describe(error)),
        None => SqlError::Other(describe(error)),
    }
}

/// What another try may mend: the server is away, starts, stops, is full or only reads; or somebody has taken our
/// rights away and may give them back.
fn is_of_the_server(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "25" | "28" | "53" | "55" | "57" | "58" | "XX"))
        || matches!(code, "3D000" | "3F000" | "42501" | "42P01")
}

fn is_of_the_line(error: &Error) -> bool {
    matches!(error, Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::PoolTimedOut | Error::PoolClosed)
}

/// Whether the session is as good as before: the server refused this one statement, and undid it.
pub(crate) fn keeps_session(error: &Error) -> bool {
    match code(error).as_deref() {
        // It ends the session, or the server is another one now than the one that took writes.
        Some(code) => !matches!(code.get(..2), Some("08" | "25" | "57" | "58" | "XX")) || code == "57014",
        None => false,
    }
}

/// Whether the server may be there in a moment.
pub(crate) fn is_transient(error: &Error) -> bool {
    matches!(error, Error::Io(_)) || matches!(code(error).as_deref(), Some("57P03" | "53300"))
}

/// In words; for the server's own errors with their code.
pub(crate) fn describe(error: &Error) -> String {
    match error.as_database_error() {
        Some(refusal) => format!("{} ({})", refusal.message(), refusal.code().unwrap_or_default()),
        None => error.to_string(),
    }
}

pub(crate) fn code(error: &Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_cut_is_no_fault_of_the_message() {
        let cut = Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(matches!(sort(&cut), SqlError::Unavailable(_)));
        assert!(is_transient(&cut) && !keeps_session(&cut));
    }

    #[test]
    fn the_server_s_troubles_are_told_from_ours_by_their_class() {
        for code in ["57P01", "53300", "53100", "25006", "08006", "42501"] {
            assert!(is_of_the_server(code), "{code}");
        }
        for code in ["22P02", "23505", "42601"] {
            assert!(!is_of_the_server(code), "{code}");
        }
    }
}
