//! What is asked. The catalogue may be read by everybody, whatever else they may.

/// Before anything is set: `reads_only` is what a transaction of the queue would find.
pub(super) const SERVER: &str = "
SELECT current_setting('server_version_num')::int4 AS version_number, current_setting('server_version') AS version,
    current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS is_standby,
    current_setting('transaction_read_only') = 'on' AS reads_only, current_setting('fsync') = 'on' AS syncs,
    current_setting('full_page_writes') = 'on' AS writes_whole_pages,
    current_setting('synchronous_commit') AS synchronous_commit,
    quote_ident(current_user) AS user_name, quote_ident(current_database()) AS database_name,
    (extract(epoch FROM clock_timestamp()) * 1000000)::int8 AS now";

/// The server refuses whatever would write, and a question that takes long. Of one transaction: what is set for a session
/// stays with the connection that a pooler gives to somebody else.
pub(super) const READ_ONLY: &str = "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '2s'; \
                                    SET LOCAL lock_timeout = '1s'; SET LOCAL search_path = pg_catalog";

/// Connections of clients, ours not counted. Whose kind is not shown are counted: they are of others. What is kept for
/// administrators is theirs to use.
pub(super) const CONNECTIONS: &str = "
WITH clients AS (SELECT datid, usesysid FROM pg_stat_activity WHERE datid IS NOT NULL AND pid <> pg_backend_pid()
    AND coalesce(backend_type, 'client backend') = 'client backend'),
me AS (SELECT oid, rolsuper, rolconnlimit FROM pg_roles WHERE rolname = current_user),
here AS (SELECT oid, datconnlimit FROM pg_database WHERE datname = current_database())
SELECT current_setting('max_connections')::int8 AS most, (SELECT count(*) FROM clients) AS used,
    CASE WHEN me.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int8
        + coalesce(current_setting('reserved_connections', true)::int8, 0) END AS reserved,
    CASE WHEN me.rolsuper THEN -1 ELSE here.datconnlimit END::int8 AS of_database,
    (SELECT count(*) FROM clients WHERE datid = here.oid) AS used_in_database,
    CASE WHEN me.rolsuper THEN -1 ELSE me.rolconnlimit END::int8 AS of_user,
    (SELECT count(*) FROM clients WHERE usesysid = me.oid) AS used_by_user
FROM me, here";

pub(super) const SCHEMA: &str = "
SELECT n.oid IS NOT NULL AS has_schema, coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS may_use,
    coalesce(has_schema_privilege(n.oid, 'CREATE'), false) AS may_make_in,
    has_database_privilege(current_database(), 'CREATE') AS may_make_schema
FROM (SELECT 1) one LEFT JOIN pg_namespace n ON n.nspname = 'keelson_queue'";

/// Tables and sequences in the queue's schema, with what the user may do. Either of two rights lets a sequence go on.
pub(super) const OBJECTS: &str = "
SELECT c.relname::text AS name, pg_has_role(c.relowner, 'USAGE') AS is_own, CASE c.relkind
    WHEN 'S' THEN ARRAY(SELECT 'USAGE' WHERE has_sequence_privilege(c.oid, 'USAGE, UPDATE'))
    ELSE ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p WHERE has_table_privilege(c.oid, p))
    END AS rights
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'keelson_queue' AND c.relkind IN ('r', 'p', 'S')";
