//! Logins per second on all cores, against what the hashing of passwords leaves possible: the hashes that as many cores do,
//! each as fast as one that hashes alone.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::bench::{API_TOKEN, Bench, Product};
use crate::load::{Target, once, post};
use crate::loops::{self, OnAllCores};
use crate::paired::{self, Contestant, Plan, Slice};
use crate::report::Goal;
use crate::server::Loaded;
use crate::system::Cores;

/// At once, each with an account of its own: of one account, ten guesses may be under way.
const CALLERS: usize = 16;
/// A hash takes a hundredth of a usual slice and more, so that one more or less would show.
const LONGER: u32 = 3;
const PASSWORD: &str = "a long password of the benchmarks";

const ONE: &str = "one hash at a time";
const ALL: &str = "hashes on all cores";

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let mut logins = loaded(bench, "logins")?;
    let mut twin = loaded(bench, "twin-logins")?;
    let cores = Cores::NUMBER;
    let mut one = Hashes { name: ONE, program: OnAllCores::new(bench), threads: 1 };
    let mut all = Hashes { name: ALL, program: OnAllCores::new(bench), threads: cores };
    let mut contestants: [&mut dyn Contestant; 4] = [&mut logins, &mut twin, &mut one, &mut all];
    let plan = Plan { slice: bench.plan.slice * LONGER, ..bench.plan };
    let rounds = paired::run(&mut contestants, plan, &mut bench.report)?;
    rounds.describe("login or hash", &mut bench.report);
    let rate = Slice::per_second;
    if !rounds.check_null(["logins", "twin-logins"], "logins per second", rate, &mut bench.report)? {
        return Ok(());
    }
    let ratio = rounds.combine(["logins", ONE], |[logins, one]| rate(&logins) / (cores as f64 * rate(&one)));
    let what = format!("logins per second by {cores} cores ÷ the time of a hash");
    bench.report.judged(&what, ratio.median, ratio, Goal::AtLeast(0.95, None));
    bench.report.info("the same by hashes on all cores at once", rounds.ratio("logins", ALL, rate));
    Ok(())
}

fn loaded(bench: &Bench, name: &str) -> Result<Loaded> {
    let mut product = product(bench, name)?;
    product.launch.cores = bench.cores.both();
    let server = product.start()?;
    let target = Target::of_callers(product.public, accounts(product.public, CALLERS)?)?;
    Ok(Loaded { server, target, connections: CALLERS })
}

/// Users with nobody in it.
pub(super) fn product(bench: &Bench, name: &str) -> Result<Product> {
    bench.fresh(name)?;
    Ok(bench.serve(name, "users")?.env("JWT_SECRET_KEY", API_TOKEN))
}

/// Registers so many, and answers how they log in.
pub(super) fn accounts(address: SocketAddr, number: usize) -> Result<Vec<Vec<u8>>> {
    (0..number).map(|number| account(address, &format!("user{number:04}"))).collect()
}

fn account(address: SocketAddr, username: &str) -> Result<Vec<u8>> {
    let registration =
        json!({ "username": username, "email": format!("{username}@example.com"), "password": PASSWORD });
    let answer = once::ask(address, &post("/api/v1/users/register", &registration.to_string()))?;
    ensure!(answer.status == 200, "a registration was answered {}: {}", answer.status, answer.text());
    let login = json!({ "username": username, "password": PASSWORD });
    Ok(post("/api/v1/users/login", &login.to_string()))
}

/// Threads that do nothing but hash.
struct Hashes {
    name: &'static str,
    program: OnAllCores,
    threads: usize,
}

impl Contestant for Hashes {
    fn name(&self) -> &str {
        self.name
    }

    fn slice(&mut self, length: Duration) -> Result<Slice> {
        let mut command = self.program.command("hashes", length);
        command.args(["--threads", &self.threads.to_string()]);
        loops::run(command)
    }
}
