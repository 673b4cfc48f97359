//! The statements on orders.

use crate::sql::database::{Statement, Then};

macro_rules! columns {
    () => {
        "id, user_id, status, items, shipping_address, version, created_at, updated_at"
    };
}

macro_rules! event_columns {
    () => {
        "orders_outbox (id, entity, event_type, body, correlation_id, traceparent, occurred_at)"
    };
}

pub(super) static FIND: Statement = Statement::read(concat!("SELECT ", columns!(), " FROM orders WHERE id = $1"))
    .shared_on_postgres(concat!("SELECT ", columns!(), " FROM orders WHERE id = ANY ($1)"));

/// Answers a row for each that is new.
pub(super) static CREATE: Statement = Statement::write(concat!(
    "INSERT INTO orders (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"
))
.shared_on_postgres(concat!(
    "INSERT INTO orders (",
    columns!(),
    ") SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int8[], $7::int8[], \
     $8::int8[]) ON CONFLICT DO NOTHING RETURNING id"
));

/// The same together with the answer to the request, unless one is kept already, and with the event that reports it;
/// either may be missing. Answers are inserted in the order of their ids, so that two statements with the same ones wait
/// for each other and not in a circle.
pub(super) static CREATE_WITH: Statement = Statement::write(concat!(
    "INSERT INTO orders (",
    columns!(),
    ") SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
     WHERE NOT EXISTS (SELECT 1 FROM orders_idempotency_keys WHERE id = $9) ON CONFLICT DO NOTHING"
))
.then_on_sqlite(&[
    Then {
        parameter: 9,
        sql: "INSERT INTO orders_idempotency_keys (id, fingerprint, answer, expires_at) SELECT $9, $10, $11, $12 \
              WHERE EXISTS (SELECT 1 FROM orders WHERE id = $1)",
    },
    Then {
        parameter: 13,
        sql: concat!(
            "INSERT INTO ",
            event_columns!(),
            " SELECT $13, $1, $14, $15, $16, $17, $18 WHERE EXISTS (SELECT 1 FROM orders WHERE id = $1)"
        ),
    },
])
.shared_on_postgres(concat!(
    "WITH new AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int8[], \
     $7::int8[], $8::int8[], $9::text[], $10::text[], $11::text[], $12::int8[], $13::uuid[], $14::text[], $15::text[], \
     $16::text[], $17::text[], $18::int8[]) AS new (",
    columns!(),
    ", request_id, fingerprint, answer, expires_at, event_id, event_type, body, correlation_id, traceparent, \
     occurred_at)), \
     created AS (INSERT INTO orders (",
    columns!(),
    ") SELECT ",
    columns!(),
    " FROM new WHERE NOT EXISTS (SELECT FROM orders_idempotency_keys WHERE \
     orders_idempotency_keys.id = new.request_id) ON CONFLICT DO NOTHING RETURNING id), \
     kept AS (INSERT INTO orders_idempotency_keys (id, fingerprint, answer, expires_at) SELECT new.request_id, \
     new.fingerprint, new.answer, new.expires_at FROM new JOIN created USING (id) WHERE new.request_id IS NOT NULL \
     ORDER BY new.request_id COLLATE \"C\"), \
     reported AS (INSERT INTO ",
    event_columns!(),
    " SELECT new.event_id, new.id, new.event_type, new.body, new.correlation_id, new.traceparent, new.occurred_at \
     FROM new JOIN created USING (id) WHERE new.event_id IS NOT NULL) SELECT id FROM created"
));

/// The page, and with it the total: of an empty page that alone is answered. Where the items of the page have more than $3
/// bytes, they are left out, and not even read.
macro_rules! list {
    ($where:literal) => {
        Statement::read(concat!(
            "SELECT counted.total, orders.id, orders.user_id, orders.status, \
             CASE WHEN page.size_bytes <= $3 THEN orders.items END, \
             orders.shipping_address, orders.version, orders.created_at, orders.updated_at \
             FROM (SELECT count(*) AS total FROM orders",
            $where,
            ") AS counted LEFT JOIN (SELECT part.id, sum(part.size_bytes) OVER () AS size_bytes FROM \
             (SELECT id, octet_length(items) AS size_bytes FROM orders",
            $where,
            " ORDER BY created_at, id LIMIT $1 OFFSET $2) AS part) AS page ON 1 = 1 \
             LEFT JOIN orders ON orders.id = page.id ORDER BY orders.created_at, orders.id"
        ))
    };
}

pub(super) static LIST: Statement = list!("");
pub(super) static LIST_OF_USER: Statement = list!(" WHERE user_id = $4");
pub(super) static LIST_BY_STATUS: Statement = list!(" WHERE status = $4");
pub(super) static LIST_OF_USER_BY_STATUS: Statement = list!(" WHERE user_id = $4 AND status = $5");

/// In one version; together with the event that reports it, if there is one.
pub(super) static CHANGE: Statement = Statement::write(
    "UPDATE orders SET status = $2, shipping_address = $3, version = $4, updated_at = $5 WHERE id = $1 AND version = $6",
)
.then_on_sqlite(&[Then {
    parameter: 7,
    sql: concat!("INSERT INTO ", event_columns!(), " SELECT $7, $1, $8, $9, $10, $11, $12 WHERE changes() > 0"),
}])
.on_postgres(concat!(
    "WITH changed AS (UPDATE orders SET status = $2, shipping_address = $3, version = $4, updated_at = $5 \
     WHERE id = $1 AND version = $6 RETURNING id), reported AS (INSERT INTO ",
    event_columns!(),
    " SELECT $7, id, $8, $9, $10, $11, $12 FROM changed WHERE $7 IS NOT NULL) SELECT id FROM changed"
));

/// In one version; together with the event that reports it, if there is one.
pub(super) static DELETE: Statement = Statement::write("DELETE FROM orders WHERE id = $1 AND version = $2")
    .then_on_sqlite(&[Then {
        parameter: 3,
        sql: concat!("INSERT INTO ", event_columns!(), " SELECT $3, $1, $4, $5, $6, $7, $8 WHERE changes() > 0"),
    }])
    .on_postgres(concat!(
        "WITH gone AS (DELETE FROM orders WHERE id = $1 AND version = $2 RETURNING id), \
             reported AS (INSERT INTO ",
        event_columns!(),
        " SELECT $3, id, $4, $5, $6, $7, $8 FROM gone WHERE $3 IS NOT NULL) SELECT id FROM gone"
    ));

pub(super) static EXISTS: Statement = Statement::read("SELECT 1 FROM orders WHERE id = $1");
