//! The statements on users.

use crate::sql::database::{Statement, Then};

macro_rules! columns {
    () => {
        "id, name, email, age, is_active, username_key IS NOT NULL, version, created_at, updated_at"
    };
}

pub(super) static FIND: Statement = Statement::read(concat!("SELECT ", columns!(), " FROM users WHERE id = $1"))
    .shared_on_postgres(concat!("SELECT ", columns!(), " FROM users WHERE id = ANY ($1)"));

/// Answers a row for each that is new. In the order of a key, so that two statements with the same keys wait for each
/// other and not in a circle.
pub(super) static CREATE: Statement = Statement::write(
    "INSERT INTO users (id, name, username_key, email, email_key, age, is_active, password_hash, version, created_at, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
)
.shared_on_postgres(
    "INSERT INTO users (id, name, username_key, email, email_key, age, is_active, password_hash, version, created_at, \
     updated_at) SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int8[], \
     $7::bool[], $8::text[], $9::int8[], $10::int8[], $11::int8[]) AS new (id, name, username_key, email, email_key, \
     age, is_active, password_hash, version, created_at, updated_at) ORDER BY new.email_key COLLATE \"C\" \
     ON CONFLICT DO NOTHING RETURNING id",
);

/// The same together with the answer to the request, unless one is kept already, and with the event that reports it;
/// either may be missing. Two that come at once with one key break the primary key of the answers, and the one that is
/// asked again finds the other's.
pub(super) static CREATE_WITH: Statement = Statement::write(
    "INSERT INTO users (id, name, username_key, email, email_key, age, is_active, password_hash, version, created_at, \
     updated_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 \
     WHERE NOT EXISTS (SELECT 1 FROM idempotency_keys WHERE id = $12) ON CONFLICT DO NOTHING",
)
.then_on_sqlite(&[
    Then {
        parameter: 12,
        sql: "INSERT INTO idempotency_keys (id, fingerprint, answer, expires_at) SELECT $12, $13, $14, $15 \
              WHERE EXISTS (SELECT 1 FROM users WHERE id = $1)",
    },
    Then {
        parameter: 16,
        sql: "INSERT INTO users_outbox (id, entity, event_type, body, correlation_id, traceparent, occurred_at) \
              SELECT $16, $1, $17, $18, $19, $20, $21 WHERE EXISTS (SELECT 1 FROM users WHERE id = $1)",
    },
])
.shared_on_postgres(
    "WITH new AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int8[], \
     $7::bool[], $8::text[], $9::int8[], $10::int8[], $11::int8[], $12::text[], $13::text[], $14::text[], $15::int8[], \
     $16::uuid[], $17::text[], $18::text[], $19::text[], $20::text[], $21::int8[]) \
     AS new (id, name, username_key, email, email_key, age, is_active, password_hash, version, created_at, updated_at, \
     request_id, fingerprint, answer, expires_at, event_id, event_type, body, correlation_id, traceparent, \
     occurred_at)), \
     created AS (INSERT INTO users (id, name, username_key, email, email_key, age, is_active, password_hash, version, \
     created_at, updated_at) SELECT id, name, username_key, email, email_key, age, is_active, password_hash, version, \
     created_at, updated_at FROM new WHERE NOT EXISTS (SELECT FROM idempotency_keys WHERE \
     idempotency_keys.id = new.request_id) ORDER BY new.email_key COLLATE \"C\" ON CONFLICT DO NOTHING RETURNING id), \
     kept AS (INSERT INTO idempotency_keys (id, fingerprint, answer, expires_at) SELECT new.request_id, new.fingerprint, \
     new.answer, new.expires_at FROM new JOIN created USING (id) WHERE new.request_id IS NOT NULL), \
     reported AS (INSERT INTO users_outbox (id, entity, event_type, body, correlation_id, traceparent, occurred_at) \
     SELECT new.event_id, new.id, new.event_type, new.body, new.correlation_id, new.traceparent, new.occurred_at \
     FROM new JOIN created USING (id) WHERE new.event_id IS NOT NULL) SELECT id FROM created",
);

/// Which of its keys others have: the address, the username.
pub(super) static FIND_TAKEN: Statement = Statement::read(
    "SELECT $1, EXISTS (SELECT 1 FROM users WHERE email_key = $2 AND id <> $1), \
     EXISTS (SELECT 1 FROM users WHERE username_key = $3 AND id <> $1)",
)
.shared_on_postgres(
    "SELECT asked.id, EXISTS (SELECT FROM users WHERE users.email_key = asked.email_key AND users.id <> asked.id), \
     EXISTS (SELECT FROM users WHERE users.username_key = asked.username_key AND users.id <> asked.id) \
     FROM unnest($1::uuid[], $2::text[], $3::text[]) AS asked (id, email_key, username_key)",
);

pub(super) static FIND_CREDENTIALS: Statement = Statement::read(
    "SELECT id, name, password_hash, is_active FROM users WHERE username_key = $1 AND password_hash IS NOT NULL",
);

/// The page, and with it the total: of an empty page that alone is answered.
pub(super) static LIST: Statement = Statement::read(concat!(
    "SELECT counted.total, page.* FROM (SELECT count(*) AS total FROM users) AS counted LEFT JOIN (SELECT ",
    columns!(),
    " FROM users ORDER BY created_at, id LIMIT $1 OFFSET $2) AS page ON 1 = 1 ORDER BY page.created_at, page.id"
));

pub(super) static REPLACE: Statement = Statement::write(
    "UPDATE users SET name = $2, username_key = CASE WHEN username_key IS NULL THEN NULL ELSE $3 END, email = $4, \
     email_key = $5, age = $6, is_active = $7, version = $8, updated_at = $9 WHERE id = $1 AND version = $10 \
     RETURNING id",
);

pub(super) static REPLACE_PASSWORD: Statement =
    Statement::write("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2 RETURNING id");

/// In one version, or in whatever version it is; together with the event that reports it, if there is one.
pub(super) static DELETE: Statement =
    Statement::write("DELETE FROM users WHERE id = $1 AND version = COALESCE($2, version)")
        .then_on_sqlite(&[Then {
            parameter: 3,
            sql: "INSERT INTO users_outbox (id, entity, event_type, body, correlation_id, traceparent, occurred_at) \
                  SELECT $3, $1, $4, $5, $6, $7, $8 WHERE changes() > 0",
        }])
        .on_postgres(
            "WITH gone AS (DELETE FROM users WHERE id = $1 AND version = COALESCE($2, version) RETURNING id), \
             reported AS (INSERT INTO users_outbox (id, entity, event_type, body, correlation_id, traceparent, \
             occurred_at) SELECT $3, id, $4, $5, $6, $7, $8 FROM gone WHERE $3 IS NOT NULL) SELECT id FROM gone",
        );

pub(super) static EXISTS: Statement = Statement::read("SELECT 1 FROM users WHERE id = $1");

pub(super) static COUNT: Statement = Statement::read("SELECT count(*), count(*) FILTER (WHERE is_active) FROM users");
