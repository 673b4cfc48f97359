//! The server of PostgreSQL: whether it fits, how many it lets in, what it loses, and what time it has.

use backends::postgres::inspect::{Bound, CONNECTIONS_OF_A_PROCESS, ConnectionFacts, OLDEST_VERSION, ServerFacts};
use jiff::SignedDuration;

use super::super::queue::QUEUE;
use super::super::report::Check;

pub(super) const CONNECTIONS: &str = "connections";
pub(super) const DURABILITY: &str = "durability";
pub(super) const CLOCK: &str = "database clock";

/// A difference that shows in what people read.
const SKEW_WARNING: i64 = 60;

/// What keeps the queue from working on it at all; `None` when it fits.
pub(super) fn fitness(server: &ServerFacts) -> Option<Check> {
    let ServerFacts { user, database, .. } = server;
    let (text, fix) = if server.major_version < OLDEST_VERSION {
        let text =
            format!("it is PostgreSQL {}, and the queue needs version {OLDEST_VERSION} or newer", server.version);
        (text, "upgrade the server, or name another one".to_owned())
    } else if server.encoding != "UTF8" {
        let fix = "give the queue a database of its own: CREATE DATABASE keelson ENCODING 'UTF8' TEMPLATE template0";
        (format!("the encoding of {database} is {}, and the queue needs UTF8", server.encoding), fix.to_owned())
    } else if server.is_standby {
        let text = "it is a standby, which cannot be written".to_owned();
        (text, "name the primary server, such as by an address that follows it".to_owned())
    } else if server.reads_only {
        let fix = format!(
            "where it is set: ALTER ROLE {user} RESET default_transaction_read_only, or the same with ALTER DATABASE {database}, or ALTER SYSTEM"
        );
        (format!("transactions of {user} in {database} only read: default_transaction_read_only is on"), fix)
    } else {
        return None;
    };
    Some(Check::failed(QUEUE, text, fix))
}

/// Whether another process of ours finds enough of them.
pub(super) fn connections(found: &ConnectionFacts, server: &ServerFacts) -> Check {
    let ConnectionFacts { most, used, free, bound } = found;
    let ServerFacts { user, database, .. } = server;
    let text =
        format!("{used} of {most} in use, {free} free for {user}; a process opens up to {CONNECTIONS_OF_A_PROCESS}");
    if *free >= CONNECTIONS_OF_A_PROCESS {
        return Check::ok(CONNECTIONS, text);
    }
    let fix = match bound {
        Bound::Server => {
            "raise max_connections (ALTER SYSTEM SET max_connections, then a restart of the server), or close what needs none"
                .to_owned()
        }
        Bound::Database => format!("raise the limit of the database: ALTER DATABASE {database} CONNECTION LIMIT -1"),
        Bound::User => format!("raise the limit of the user: ALTER ROLE {user} CONNECTION LIMIT -1"),
    };
    Check::warning(CONNECTIONS, format!("{text}: one more process waits for its turn or does not start"), fix)
}

/// Whether the server keeps what it has confirmed when the power fails.
pub(super) fn durability(server: &ServerFacts) -> Check {
    let mut lost = Vec::new();
    let mut fixes = Vec::new();
    for (is_on, setting, text) in [
        (server.syncs, "fsync", "fsync is off: a power cut loses messages that were confirmed, or the whole database"),
        (server.writes_whole_pages, "full_page_writes", "full_page_writes is off: a power cut may damage the tables"),
    ] {
        if !is_on {
            lost.push(text);
            fixes.push(format!("ALTER SYSTEM SET {setting} = on, then SELECT pg_reload_conf()"));
        }
    }
    if server.synchronous_commit == "off" {
        lost.push("synchronous_commit is off: others lose here what was confirmed; the queue sets it on for itself");
        fixes.push(format!(
            "where it is set: ALTER ROLE {} RESET synchronous_commit, or the same with ALTER DATABASE {}, or ALTER SYSTEM",
            server.user, server.database
        ));
    }
    if lost.is_empty() {
        let text = format!("fsync and full_page_writes are on, synchronous_commit is {}", server.synchronous_commit);
        return Check::ok(DURABILITY, text);
    }
    Check { fix: fixes, ..Check::warning(DURABILITY, lost.join("; "), "") }
}

/// Times of messages are the server's: the day under which they are stored, and their age. Nothing is refused for them.
pub(super) fn clock(skew_seconds: i64) -> Check {
    let (size, side) = (skew_seconds.abs(), if skew_seconds > 0 { "behind" } else { "ahead of" });
    let text = format!("this machine is {:#} {side} the server", SignedDuration::from_secs(size));
    match size {
        SKEW_WARNING.. => Check::warning(
            CLOCK,
            format!("{text}, whose time is that of messages and of the day under which they are stored"),
            "let both follow a time server: `chronyc tracking` or `timedatectl status` tells which of them does not",
        ),
        0..=2 => Check::ok(CLOCK, "agrees with this machine"),
        _ => Check::ok(CLOCK, text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::Status;
    use super::*;

    fn server() -> ServerFacts {
        ServerFacts {
            major_version: 17,
            version: "17.2".into(),
            encoding: "UTF8".into(),
            is_standby: false,
            reads_only: false,
            syncs: true,
            writes_whole_pages: true,
            synchronous_commit: "on".into(),
            user: "keelson".into(),
            database: "queue".into(),
            clock_skew_seconds: 0,
        }
    }

    #[test]
    fn a_server_that_does_not_fit_is_told_why() {
        assert!(fitness(&server()).is_none());
        for (server, part) in [
            (ServerFacts { major_version: 11, version: "11.22".into(), ..server() }, "PostgreSQL 11.22"),
            (ServerFacts { encoding: "LATIN1".into(), ..server() }, "the encoding of queue is LATIN1"),
            (ServerFacts { is_standby: true, ..server() }, "standby"),
            (ServerFacts { reads_only: true, ..server() }, "only read"),
        ] {
            let check = fitness(&server).unwrap();
            assert!(check.status == Status::Failed && check.text.contains(part), "{check:?}");
        }
    }

    #[test]
    fn the_limit_that_is_reached_first_is_the_one_to_raise() {
        let look = |free, bound| connections(&ConnectionFacts { most: 100, used: 90, free, bound }, &server());
        assert_eq!(look(7, Bound::Server).status, Status::Ok);
        for (bound, fix) in [
            (Bound::Server, "max_connections"),
            (Bound::Database, "ALTER DATABASE queue CONNECTION LIMIT"),
            (Bound::User, "ALTER ROLE keelson CONNECTION LIMIT"),
        ] {
            let check = look(6, bound);
            assert!(check.status == Status::Warning && check.fix[0].contains(fix), "{check:?}");
        }
    }

    #[test]
    fn the_clock_is_judged_on_both_sides_and_never_fails() {
        for (skew, status, part) in [
            (0, Status::Ok, "agrees"),
            (-30, Status::Ok, "30s ahead of"),
            (90, Status::Warning, "1m 30s behind"),
            (-90_000, Status::Warning, "ahead of"),
        ] {
            let check = clock(skew);
            assert!(check.status == status && check.text.contains(part), "{check:?}");
        }
    }
}
