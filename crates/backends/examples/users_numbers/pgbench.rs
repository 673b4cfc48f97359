//! The store on PostgreSQL, beside `pgbench -M prepared` that reads and inserts the same rows one by one, over as many
//! connections as there are callers, in the same server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::load::{Load, SECONDS};
use super::postgres::{Postgres, programs};
use super::table::Table;
use super::{Outcome, Plan, compare};

const DATABASE: &str = "users";
const KNOWN: u64 = 100_000;
/// Callers at once, and what is asked of them. One alone has nobody to share with.
const CALLERS: [(usize, Option<f64>); 4] = [(1, None), (16, None), (64, Some(0.8)), (256, Some(0.8))];

/// The table of the inserts of pgbench is that of users, with all of its indexes.
const TABLE: &str = "CREATE TABLE public.pgbench_users (LIKE keelson_users.users INCLUDING ALL);
    CREATE SEQUENCE public.pgbench_ids CACHE 100";
const FIND: &str = r"\set number random(0, 99999)
SELECT id, name, email, age, is_active, username_key IS NOT NULL, version, created_at, updated_at
    FROM keelson_users.users
    WHERE id = ('00000000-0000-0000-0000-' || lpad(to_hex(:number::int8), 12, '0'))::uuid;
";
const INSERT: &str = r"\set number random(0, 1000000000)
INSERT INTO pgbench_users (id, name, username_key, email, email_key, age, is_active, password_hash, version, created_at,
    updated_at) SELECT ('00000000-0000-0000-0000-' || lpad(to_hex(number), 12, '0'))::uuid, 'User ' || number, NULL,
    'user.' || number || '@example.com', 'user.' || number || '@example.com', 30, true, NULL, 1, :number::int8, 0
    FROM nextval('pgbench_ids') AS next (number) ON CONFLICT DO NOTHING RETURNING id;
";

/// One script for pgbench.
struct Script {
    program: PathBuf,
    port: String,
    file: PathBuf,
}

pub(crate) fn measure(plan: Plan, table: &mut Table) -> Outcome<()> {
    let Some(postgres) = Postgres::start()? else { return Ok(()) };
    table.info("server", postgres.describe()?);
    let program = programs().map(|folder| folder.join("pgbench")).filter(|program| program.is_file());
    let Some(program) = program else {
        table.info("users", "SKIP: pgbench is not installed; it comes with the server's package");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let load = Load::open(&postgres.create_database(DATABASE)?)?;
    load.fill(KNOWN)?;
    postgres.execute(DATABASE, TABLE)?;
    let script = |name: &str, text: &str| Script::write(&program, &postgres, folder.path().join(name), text);
    let (find, insert) = (script("find.sql", FIND)?, script("insert.sql", INSERT)?);
    for (callers, goal) in CALLERS.into_iter().filter(|(callers, _)| plan.has(*callers)) {
        postgres.settle(DATABASE)?;
        let what = format!("find, callers: {callers}");
        compare((&what, goal), plan, table, || load.find(callers, KNOWN), || find.run(callers))?;
        let what = format!("create, callers: {callers}");
        compare((&what, goal), plan, table, || load.create(callers), || insert.run(callers))?;
    }
    Ok(())
}

impl Script {
    fn write(program: &Path, postgres: &Postgres, file: PathBuf, text: &str) -> Outcome<Self> {
        fs::write(&file, text)?;
        Ok(Self { program: program.to_owned(), port: postgres.port().to_string(), file })
    }

    /// Transactions per second.
    fn run(&self, clients: usize) -> Outcome<f64> {
        let mut command = Command::new(&self.program);
        command.args(["-h", "127.0.0.1", "-p", &self.port, "-U", "postgres", "-n", "-M", "prepared"]);
        command.args(["-c", &clients.to_string(), "-j", &clients.min(2).to_string(), "-T", &SECONDS.to_string(), "-f"]);
        let output = command.arg(&self.file).arg(DATABASE).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
        let failed = || format!("pgbench failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        Ok(rate.filter(|_| output.status.success()).ok_or_else(failed)?.parse()?)
    }
}
