//! Migrations as users see them.

use backends::migrations::{MigrationState, Progress};
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::{Value, json};

use crate::output::printable;

/// The name of its files. That of a newer program comes out of the database.
pub(super) fn file(state: &MigrationState) -> String {
    format!("{:04}_{}", state.version, printable(&state.name))
}

pub(super) fn counted(count: usize) -> String {
    if count == 1 { "1 migration".to_owned() } else { format!("{count} migrations") }
}

pub(super) fn to_json(state: &MigrationState) -> Value {
    let (progress, applied_at) = match state.progress {
        Progress::Applied(at) => ("applied", Some(at)),
        Progress::Newer(at) => ("newer", Some(at)),
        Progress::Pending(_) => ("pending", None),
    };
    json!({
        "service": state.service, "version": state.version, "name": state.name,
        "state": progress, "applied_at": applied_at,
    })
}

/// A table with a heading; empty where there are none.
pub(super) fn table(states: &[MigrationState]) -> String {
    if states.is_empty() {
        return String::new();
    }
    let width = states.iter().map(|state| printable(&state.name).chars().count()).max().unwrap_or(0).max(4);
    let mut text = format!("{:<10}  {:>7}  {:<width$}  APPLIED\n", "SERVICE", "VERSION", "NAME");
    for state in states {
        let name = printable(&state.name);
        let progress = match state.progress {
            Progress::Applied(at) => second(at),
            Progress::Newer(at) => format!("{}, by a newer Keelson", second(at)),
            Progress::Pending(_) => "pending".to_owned(),
        };
        text.push_str(&format!("{:<10}  {:>7}  {name:<width$}  {progress}\n", state.service, state.version));
    }
    text
}

fn second(at: Timestamp) -> String {
    at.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc)).unwrap_or(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_a_line_that_tells_who_applied_it_and_when() {
        let at = Timestamp::from_microsecond(1_763_775_481_900_000).unwrap();
        let state = |version, name: &str, progress| MigrationState {
            service: "users",
            version,
            name: name.to_owned(),
            progress,
        };
        let states = [
            state(1, "create_users", Progress::Applied(at)),
            state(2, "add_photo", Progress::Pending("SELECT 1")),
            state(30, "by\u{1b}others", Progress::Newer(at)),
        ];
        insta::assert_snapshot!(table(&states), @r"
        SERVICE     VERSION  NAME          APPLIED
        users             1  create_users  2025-11-22T01:38:01Z
        users             2  add_photo     pending
        users            30  by�others     2025-11-22T01:38:01Z, by a newer Keelson
        ");
        assert_eq!(table(&[]), "");
    }
}
