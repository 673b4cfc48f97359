//! The statements on events.

use crate::sql::database::Statement;

/// Answers a row for each that is new.
pub(super) static RECORD: Statement = Statement::write(
    "INSERT INTO events (id, event_type, event_name, user_id, properties, created_at, request_id, fingerprint) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
)
.shared_on_postgres(
    "INSERT INTO events (id, event_type, event_name, user_id, properties, created_at, request_id, fingerprint) \
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int8[], $7::text[], \
     $8::text[]) AS new (id, event_type, event_name, user_id, properties, created_at, request_id, fingerprint) \
     ORDER BY new.request_id COLLATE \"C\" ON CONFLICT DO NOTHING RETURNING id",
);

pub(super) static FIND_REQUEST: Statement =
    Statement::read("SELECT id, event_type, fingerprint FROM events WHERE request_id = $1");

pub(super) static COUNT: Statement = Statement::read(
    "SELECT event_type, count(*) FROM events WHERE created_at >= $1 AND created_at < $2 GROUP BY event_type",
);

/// One of their own, since with a type that may be missing no database would look for it in the index.
pub(super) static COUNT_OF_TYPE: Statement = Statement::read(
    "SELECT event_type, count(*) FROM events WHERE event_type = $3 AND created_at >= $1 AND created_at < $2 \
     GROUP BY event_type",
);

pub(super) static COUNT_OF_USER: Statement = Statement::read(
    "SELECT event_type, count(*) FROM events WHERE user_id = $4 AND event_type = COALESCE($3, event_type) \
     AND created_at >= $1 AND created_at < $2 GROUP BY event_type",
);

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::sql::ANALYTICS;

    /// The plan of a count names an index that has all that is asked for: no row is looked at.
    #[test]
    fn what_is_read_is_found_by_an_index_and_counts_look_at_nothing_else() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in ANALYTICS.sqlite {
            connection.execute_batch(migration.sql).unwrap();
        }
        for (statement, expected) in [
            (&COUNT, "SCAN events USING COVERING INDEX events_by_type"),
            (&COUNT_OF_TYPE, "SEARCH events USING COVERING INDEX events_by_type"),
            (&COUNT_OF_USER, "SEARCH events USING COVERING INDEX events_by_user"),
            (&FIND_REQUEST, "SEARCH events USING INDEX events_by_request"),
        ] {
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sqlite)).unwrap();
            let plan: String = explained.raw_query().next().unwrap().unwrap().get(3).unwrap();
            assert!(plan.starts_with(expected), "{plan}");
        }
    }
}
