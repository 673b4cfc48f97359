//! What each process does with the queue's tables, and which right it lacks for that.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

/// The schema itself.
const SCHEMA: &str = "keelson_queue";
/// Says of which version the others are.
pub(super) const VERSION_TABLE: &str = "schema_version";

/// Whose rights are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Puts messages on the queue.
    Ingest,
    /// Takes them off, or gives them up.
    Archiver,
    /// Whoever looks after dead letters, in any process: `dlq`, and `/ops/v1` beside it.
    Operator,
}

use Process::{Archiver, Ingest, Operator};

const ALL: &[Process] = &[Ingest, Archiver, Operator];

/// What the statements in `sql`, `admin_sql` and `schema` need, and for whom. Everybody keeps its worker and gives back
/// the leases of dead ones; `FOR UPDATE` needs the right to update.
const NEEDS: &[(&str, &str, &[Process])] = &[
    (VERSION_TABLE, "SELECT", ALL),
    ("worker_ids", "USAGE", ALL),
    ("workers", "SELECT", ALL),
    ("workers", "INSERT", ALL),
    ("workers", "UPDATE", ALL),
    ("workers", "DELETE", ALL),
    ("message_places", "USAGE", &[Ingest]),
    ("messages", "SELECT", &[Archiver, Operator]),
    ("messages", "INSERT", &[Ingest]),
    ("messages", "DELETE", &[Archiver, Operator]),
    ("deliveries", "SELECT", ALL),
    ("deliveries", "INSERT", &[Ingest, Operator]),
    ("deliveries", "UPDATE", ALL),
    ("deliveries", "DELETE", &[Archiver, Operator]),
    ("dead_letters", "SELECT", ALL),
    ("dead_letters", "INSERT", &[Archiver]),
    ("dead_letters", "UPDATE", &[Operator]),
    ("dead_letters", "DELETE", &[Operator]),
];

/// Rights on one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The schema, or a table or sequence in it.
    pub object: &'static str,
    /// Such as `SELECT`.
    pub privileges: Vec<&'static str>,
}

impl Right {
    /// The statement that gives them to a user, which is an identifier of SQL.
    #[must_use]
    pub fn grant(&self, user: &str) -> String {
        let privileges = self.privileges.join(", ");
        match self.object {
            SCHEMA => format!("GRANT {privileges} ON SCHEMA {SCHEMA} TO {user}"),
            object if self.privileges == ["USAGE"] => {
                format!("GRANT {privileges} ON SEQUENCE {SCHEMA}.{object} TO {user}")
            }
            object => format!("GRANT {privileges} ON {SCHEMA}.{object} TO {user}"),
        }
    }
}

/// What one user may do with the queue's tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights {
    may_use_schema: bool,
    of_objects: BTreeMap<String, Vec<String>>,
}

impl Rights {
    pub(super) fn of(may_use_schema: bool, found: &[Found]) -> Self {
        let of_objects = found.iter().map(|it| (it.name.clone(), it.rights.clone())).collect();
        Self { may_use_schema, of_objects }
    }

    /// Whether the user may reach an object, and do this with it.
    #[must_use]
    pub fn has(&self, object: &str, privilege: &str) -> bool {
        self.may_use_schema && self.has_on(object, privilege)
    }

    /// What these processes lack, in the order of the tables.
    #[must_use]
    pub fn missing(&self, processes: &[Process]) -> Vec<Right> {
        let mut missing: Vec<Right> = Vec::new();
        if !self.may_use_schema {
            missing.push(Right { object: SCHEMA, privileges: vec!["USAGE"] });
        }
        let needed = NEEDS.iter().filter(|(.., whose)| processes.iter().any(|process| whose.contains(process)));
        for &(object, privilege, _) in needed.filter(|(object, privilege, _)| !self.has_on(object, privilege)) {
            match missing.last_mut() {
                Some(last) if last.object == object => last.privileges.push(privilege),
                _ => missing.push(Right { object, privileges: vec![privilege] }),
            }
        }
        missing
    }

    fn has_on(&self, object: &str, privilege: &str) -> bool {
        self.of_objects.get(object).is_some_and(|rights| rights.iter().any(|right| right == privilege))
    }
}

/// A table or sequence that is there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) is_own: bool,
    rights: Vec<String>,
}

impl Found {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self { name: row.try_get("name")?, is_own: row.try_get("is_own")?, rights: row.try_get("rights")? })
    }
}

/// What should be there and is not.
pub(super) fn absent(found: &[Found]) -> Vec<&'static str> {
    let mut absent: Vec<&str> = NEEDS.iter().map(|(object, ..)| *object).collect();
    absent.dedup();
    absent.retain(|object| !found.iter().any(|it| it.name == *object));
    absent
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, rights: &[&str]) -> Found {
        Found { name: name.into(), is_own: false, rights: rights.iter().map(|&right| right.to_owned()).collect() }
    }

    #[test]
    fn what_is_missing_is_named_for_each_process_with_its_statement() {
        let all = [
            found(VERSION_TABLE, &["SELECT"]),
            found("worker_ids", &["USAGE"]),
            found("workers", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
            found("message_places", &[]),
            found("messages", &["INSERT"]),
            found("deliveries", &["SELECT", "INSERT", "UPDATE"]),
            found("dead_letters", &["SELECT"]),
        ];
        let grants = |rights: &Rights, processes: &[Process]| -> Vec<String> {
            rights.missing(processes).iter().map(|right| right.grant("\"my user\"")).collect()
        };
        let rights = Rights::of(true, &all);
        let sequence = "GRANT USAGE ON SEQUENCE keelson_queue.message_places TO \"my user\"";
        assert_eq!(grants(&rights, &[Ingest]), [sequence]);
        let archiver = [
            "GRANT SELECT, DELETE ON keelson_queue.messages TO \"my user\"",
            "GRANT DELETE ON keelson_queue.deliveries TO \"my user\"",
            "GRANT INSERT ON keelson_queue.dead_letters TO \"my user\"",
        ];
        assert_eq!(grants(&rights, &[Archiver]), archiver);
        assert!(rights.has("deliveries", "SELECT") && !rights.has("messages", "SELECT"));

        let shut = Rights::of(false, &all);
        let schema = "GRANT USAGE ON SCHEMA keelson_queue TO \"my user\"";
        assert_eq!(grants(&shut, &[Ingest]), [schema, sequence]);
        assert!(!shut.has("deliveries", "SELECT"), "it cannot be reached");
        assert_eq!(absent(&all), Vec::<&str>::new());
        assert_eq!(absent(&all[..5]), ["deliveries", "dead_letters"]);
    }
}
