//! A GET through the whole edge: `GET /ops/v1/log-level` with the operator's token.
//!
//! It is the one GET that shows a token, and its handler does next to nothing, so that what is measured is the edge:
//! token, rate limit, ids, metrics, access log. The bare server gives the same answer and does none of it.

use std::net::SocketAddr;

use anyhow::Result;

use crate::bench::{Bench, Product};
use crate::load::{Target, get, once};
use crate::others::Other;
use crate::paired::{self, Contestant, Slice};
use crate::peers;
use crate::python::gunicorn;
use crate::report::Goal;
use crate::server::{Launch, Loaded};

/// Connections of the closed loop: enough to keep one core busy.
pub(super) const CONNECTIONS: usize = 64;

/// The route that is asked.
const ROUTE: &str = "/ops/v1/log-level";

pub(super) const NGINX: Other =
    Other { name: "nginx", words: &["-c"], config: "nginx.conf", remedy: "no nginx: install the package nginx-light" };

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let product = bench.serve("keelson", "ingest")?;
    let mut contestants = vec![loaded(&product)?, loaded(&bench.serve("twin", "ingest")?)?];
    contestants.push(bare(bench, &product, "bare hyper", &[])?);
    let fastapi = fastapi(bench, &product)?;
    let nginx = nginx(bench, &product)?;
    let (has_fastapi, has_nginx) = (fastapi.is_some(), nginx.is_some());
    contestants.extend(fastapi);
    contestants.extend(nginx);

    let mut all: Vec<_> = contestants.iter_mut().map(|it| it as &mut dyn Contestant).collect();
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    rounds.describe("request", &mut bench.report);
    let cpu = Slice::cpu_each;
    if !rounds.check_null(["keelson", "twin"], "CPU", cpu, &mut bench.report)? {
        return Ok(());
    }
    let hyper = rounds.ratio("bare hyper", "keelson", cpu);
    let goal = Goal::AtLeast(0.80, Some(0.90));
    bench.report.judged("CPU efficiency as a share of the bare hyper's", hyper.median, hyper, goal);
    if has_fastapi {
        let python = rounds.ratio("fastapi", "keelson", cpu);
        bench.report.judged("FastAPI's CPU by ours", python.median, python, Goal::AtLeast(20.0, Some(50.0)));
    }
    if has_nginx {
        bench.report.info("nginx's CPU by ours, same bytes and a log line", rounds.ratio("nginx", "keelson", cpu));
    }
    Ok(())
}

/// The product with the load of this row.
pub(super) fn loaded(product: &Product) -> Result<Loaded> {
    let server = product.start()?;
    let target = Target::new(product.internal, request(product)?)?;
    Ok(Loaded { server, target, connections: CONNECTIONS })
}

pub(super) fn request(product: &Product) -> Result<Vec<u8>> {
    Ok(get(ROUTE, Some(&product.operator_token()?)))
}

/// A bare hyper that gives the product's answer. The product must run.
pub(super) fn bare(bench: &Bench, product: &Product, name: &str, more: &[&str]) -> Result<Loaded> {
    let (launch, address) = bare_launch(bench, product, name, more)?;
    Ok(Loaded { server: launch.start()?, target: Target::new(address, request(product)?)?, connections: CONNECTIONS })
}

/// The same, not started yet.
pub(super) fn bare_launch(bench: &Bench, product: &Product, name: &str, more: &[&str]) -> Result<(Launch, SocketAddr)> {
    let answer = bench.logs.join("answer.json");
    peers::capture(&once::ask(product.internal, &request(product)?)?, &answer)?;
    let answer = answer.display().to_string();
    bench.peer(name, &[&["bare", "--answer", &answer], more].concat())
}

fn fastapi(bench: &mut Bench, product: &Product) -> Result<Option<Loaded>> {
    let env = [("OPERATOR_TOKEN".to_owned(), product.operator_token()?)];
    let Some((launch, address)) = gunicorn(bench, "fastapi", "fastapi", "gunicorn.conf.py", &env)? else {
        return Ok(None);
    };
    let server = launch.start()?;
    let target = Target::new(address, request(product)?)?;
    Ok(Some(Loaded { server, target, connections: CONNECTIONS }))
}

/// nginx with the bytes in its configuration: no goal, an outside measure of what a request costs here.
fn nginx(bench: &mut Bench, product: &Product) -> Result<Option<Loaded>> {
    let answer = once::ask(product.internal, &request(product)?)?;
    let written_by_nginx = ["content-length", "content-type", "date"];
    let headers: String = answer
        .headers
        .iter()
        .filter(|(name, _)| !written_by_nginx.contains(&name.as_str()))
        .map(|(name, value)| format!("add_header {name} \"{value}\";\n"))
        .collect();
    let blanks = [("HEADERS", headers), ("BODY", answer.text())];
    let Some((launch, address)) = NGINX.launch(bench, &blanks)? else { return Ok(None) };
    let server = launch.start()?;
    Ok(Some(Loaded { server, target: Target::new(address, request(product)?)?, connections: CONNECTIONS }))
}
