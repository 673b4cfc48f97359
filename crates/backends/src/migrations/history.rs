//! What was made, beside what is known. No I/O.

use jiff::Timestamp;
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::hash::Hasher as _;

/// One change of tables.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    /// Statements of one transaction.
    pub(crate) sql: &'static str,
}

/// One that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) version: i64,
    pub(super) name: String,
    pub(super) checksum: String,
    pub(super) applied_at: Timestamp,
}

/// A history that fits what is known.
#[derive(Debug)]
pub(super) struct History {
    pub(super) recorded: Vec<Recorded>,
    /// In the order in which they are to be made.
    pub(super) pending: Vec<&'static Migration>,
}

/// One that was made is not the one that is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) problem: String,
}

pub(super) const CHANGED_REMEDY: &str =
    "run the Keelson that made it; a migration that was published stays as it is, and a change of it is a new one";

impl Migration {
    /// Tells whether somebody changed it. Nobody is to be kept from that who wants to.
    pub(super) fn checksum(&self) -> String {
        let mut hasher = SipHasher24::new();
        hasher.write(self.sql.as_bytes());
        format!("{:032x}", hasher.finish128().as_u128())
    }

    /// The name of its file, without its ending.
    pub(super) fn file(&self) -> String {
        format!("{:04}_{}", self.version, self.name)
    }
}

impl History {
    pub(super) fn of(known: &'static [Migration], recorded: Vec<Recorded>) -> Result<Self, Changed> {
        let find = |migration: &Migration| recorded.iter().find(|it| it.version == migration.version);
        for migration in known {
            if let Some(found) = find(migration)
                && found.checksum != migration.checksum()
            {
                let file = migration.file();
                let problem = format!("its migration {file} ({}) is not the one that this program knows", found.name);
                return Err(Changed { problem });
            }
        }
        let pending = known.iter().filter(|migration| find(migration).is_none()).collect();
        Ok(Self { recorded, pending })
    }

    /// The last one that was made, where this program does not know it.
    pub(super) fn newer(&self, known: &[Migration]) -> Option<&Recorded> {
        let last = self.recorded.iter().max_by_key(|it| it.version)?;
        known.iter().all(|migration| migration.version < last.version).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static KNOWN: [Migration; 2] = [
        Migration { version: 1, name: "one", sql: "CREATE TABLE a (b int)" },
        Migration { version: 2, name: "two", sql: "DROP TABLE a" },
    ];

    fn recorded(migration: &Migration) -> Recorded {
        let applied_at = Timestamp::UNIX_EPOCH;
        Recorded { version: migration.version, name: migration.name.into(), checksum: migration.checksum(), applied_at }
    }

    #[test]
    fn what_was_not_made_is_pending_in_its_order() {
        let versions = |recorded| {
            let history = History::of(&KNOWN, recorded).unwrap();
            history.pending.iter().map(|migration| migration.version).collect::<Vec<_>>()
        };
        assert_eq!(versions(Vec::new()), [1, 2]);
        assert_eq!(versions(vec![recorded(&KNOWN[0])]), [2]);
        assert_eq!(versions(vec![recorded(&KNOWN[1])]), [1]);
        assert!(versions(KNOWN.iter().map(recorded).collect()).is_empty());
    }

    #[test]
    fn a_history_that_is_newer_fits_and_is_noticed() {
        let newer = Recorded { version: 3, ..recorded(&KNOWN[1]) };
        let history = History::of(&KNOWN, vec![recorded(&KNOWN[0]), recorded(&KNOWN[1]), newer.clone()]).unwrap();
        assert!(history.pending.is_empty());
        assert_eq!(history.newer(&KNOWN), Some(&newer));
        assert_eq!(History::of(&KNOWN, vec![recorded(&KNOWN[1])]).unwrap().newer(&KNOWN), None);
    }

    #[test]
    fn one_that_was_changed_after_it_was_made_is_named() {
        let other = Recorded { checksum: "0".repeat(32), ..recorded(&KNOWN[1]) };
        let changed = History::of(&KNOWN, vec![recorded(&KNOWN[0]), other]).unwrap_err();
        assert!(changed.problem.contains("0002_two"), "{changed:?}");
    }

    #[test]
    fn a_checksum_is_the_same_on_every_machine() {
        let migration = Migration { version: 1, name: "one", sql: "SELECT 1;\n" };
        assert_eq!(migration.checksum(), "e86dadb79febd50d794cba9e4340d82d");
    }
}
