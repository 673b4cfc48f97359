//! An event of 1 KiB that a service encrypts, against the same in plain text: decrypted, taken once, stored and answered
//! encrypted.
//!
//! Each request is sent once, since a body is taken once. What encrypts them is on the core of the load, before each slice.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use chassis::clock::SystemClock;
use chassis::envelope::{Binding, Direction, KeyRing};
use serde_json::json;

use super::ingest::CONNECTIONS;
use crate::bench::{API_TOKEN, Bench};
use crate::load::closed::{Closed, Until};
use crate::load::{Target, post_with};
use crate::paired::{self, Contestant, Slice};
use crate::report::Goal;
use crate::server::Server;
use crate::system::CpuTime;

const PATH: &str = "/api/v1/analytics/events";
const CALLER: &str = "user-service";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const BODY_BYTES: usize = 1024;
const PLAIN: [&str; 2] = ["keelson-plain", "twin-plain"];
const ENCRYPTED: &str = "keelson-encrypted";
/// In a slice of a second; a machine takes more.
const PER_SECOND: f64 = 12_000.0;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let outcome = measure(bench);
    for name in PLAIN.into_iter().chain([ENCRYPTED]) {
        bench.fresh(name)?;
    }
    outcome
}

fn measure(bench: &mut Bench) -> Result<()> {
    let token = bench.token(CALLER, &["analytics:write"])?;
    let mut contestants = Vec::new();
    for name in PLAIN.into_iter().chain([ENCRYPTED]) {
        bench.fresh(name)?;
        let product = bench.serve(name, "analytics")?.env("JWT_SECRET_KEY", API_TOKEN).env("ENCRYPTION_KEY", KEY);
        let product = product.env("ENCRYPT_CALLS", "true");
        let ring = (name == ENCRYPTED).then(|| KeyRing::parse(&KEY.into())).transpose()?;
        contestants.push(Caller { server: product.start()?, address: product.public, token: token.clone(), ring });
    }
    let mut all: Vec<_> = contestants.iter_mut().map(|it| it as &mut dyn Contestant).collect();
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    rounds.describe("event", &mut bench.report);
    if !rounds.check_null(PLAIN, "CPU", Slice::cpu_each, &mut bench.report)? {
        return Ok(());
    }
    let ratio = rounds.ratio(PLAIN[0], ENCRYPTED, Slice::cpu_each);
    let what = "CPU of an event in plain text by that of an encrypted one";
    bench.report.judged(what, ratio.median, ratio, Goal::AtLeast(0.85, None));
    Ok(())
}

/// Sends events to a server, encrypted where it has keys.
struct Caller {
    server: Server,
    address: SocketAddr,
    token: String,
    ring: Option<KeyRing>,
}

impl Caller {
    fn requests(&self, count: u64) -> Result<Vec<Vec<u8>>> {
        let event = event();
        ensure!(event.len() == BODY_BYTES, "an event of {} bytes", event.len());
        (0..count).map(|_| self.request(&event)).collect()
    }

    fn request(&self, event: &str) -> Result<Vec<u8>> {
        let authorization = ("Authorization", format!("Bearer {}", self.token));
        let Some(ring) = &self.ring else { return Ok(post_with(&[authorization], PATH, event)) };
        let (direction, sender, target) = (Direction::Request, CALLER, "analytics-service");
        let binding =
            Binding { direction, method: "POST", path: PATH, sender: sender.as_bytes(), target: target.as_bytes() };
        let sealed = ring.encrypt_v2(event.as_bytes(), &binding, SystemClock::shared().now())?;
        let headers = [
            authorization,
            ("X-Encrypted-Payload", "v2".to_owned()),
            ("X-Encryption-Service", sender.to_owned()),
            ("X-Service-Name", sender.to_owned()),
            ("X-Target-Service", target.to_owned()),
            ("X-Encryption-Key-Id", sealed.key_id),
            ("X-Encryption-Time", sealed.time.to_string()),
        ];
        let body = json!({ "encrypted_data": sealed.encrypted_data }).to_string();
        Ok(post_with(&headers, PATH, &body))
    }
}

impl Contestant for Caller {
    fn name(&self) -> &str {
        &self.server.name
    }

    fn slice(&mut self, length: Duration) -> Result<Slice> {
        let count = (PER_SECOND * length.as_secs_f64()) as u64;
        let run_up = count / 10;
        let target = Target::once_each(self.address, self.requests(run_up + count)?);
        let mut load = Closed::connect(&target, CONNECTIONS)?;
        load.run(Until::Answers(run_up))?;
        let before = CpuTime::of(self.server.pid())?;
        let answers = load.run(Until::Answers(count))?;
        let after = CpuTime::of(self.server.pid())?;
        load.finish()?;
        self.server.forget_output()?;
        let cpu = Duration::from_nanos(after.since(&before));
        Ok(Slice { done: answers.count, cpu, wall: answers.took, ..Slice::default() })
    }
}

/// As services report one, filled up to a length.
fn event() -> String {
    let of = |note: &str| {
        json!({
            "event_type": "custom",
            "event_name": "Something happened",
            "user_id": "01975408-5f35-7000-8000-000000000001",
            "properties": { "occurred_at": "2026-11-22T10:12:13.141592Z", "note": note },
        })
        .to_string()
    };
    let short = of("").len();
    of(&"x".repeat(BODY_BYTES - short))
}
