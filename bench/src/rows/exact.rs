//! What one request costs, counted instead of timed: instructions by callgrind, allocations by dhat, system calls by
//! strace. Each count is the difference of two runs that differ by a known number of requests, so that start and end
//! cancel out. One connection, so that requests share nothing.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};

use super::get;
use crate::bench::{Bench, message, remove};
use crate::load::closed::{Closed, Until};
use crate::load::{Target, post};
use crate::server::Server;
use crate::stats::short;
use crate::system::{find_program, first_child, terminate};

/// Requests of the two runs.
const FEW: u64 = 500;
const MANY: u64 = 2500;

/// How often each thing happened.
type Counts = BTreeMap<String, f64>;

/// An instrument that a server runs under.
#[derive(Debug, Clone, Copy)]
struct Instrument {
    what: &'static str,
    /// The command before the server's; `@FILE@` is where it writes.
    words: &'static [&'static str],
    read: fn(&str) -> Option<Counts>,
}

const INSTRUMENTS: [Instrument; 3] = [
    Instrument {
        what: "instructions",
        words: &["valgrind", "--tool=callgrind", "--callgrind-out-file=@FILE@"],
        read: read_callgrind,
    },
    Instrument {
        what: "allocations that dhat sees",
        words: &["valgrind", "--tool=dhat", "--dhat-out-file=/dev/null", "--log-file=@FILE@"],
        read: read_dhat,
    },
    Instrument {
        what: "system calls",
        words: &["strace", "-f", "-c", "-U", "calls,name", "-o", "@FILE@"],
        read: read_strace,
    },
];

/// Who is asked what.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Get,
    BareGet,
    Post,
}

const ASKED: [(&str, Asked); 3] =
    [("GET, full edge", Asked::Get), ("GET, bare hyper", Asked::BareGet), ("POST, durable", Asked::Post)];

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    for instrument in INSTRUMENTS {
        let program = instrument.words[0];
        if find_program(program).is_none() {
            let remedy = format!("no {program}: install the package {program}");
            bench.report.skip(&format!("{} of a request", instrument.what), &remedy);
            continue;
        }
        for (name, asked) in ASKED {
            let few = count(bench, instrument, asked, FEW)?;
            let mut each = count(bench, instrument, asked, MANY)?;
            for (name, count) in &mut each {
                *count = (*count - few.get(name).copied().unwrap_or(0.0)) / (MANY - FEW) as f64;
            }
            bench.report.info(&format!("{name}: {}", instrument.what), describe(&each));
        }
    }
    Ok(())
}

/// The sum, and what it is made of where that is known.
fn describe(each: &Counts) -> String {
    let mut parts: Vec<_> = each.iter().filter(|(_, count)| **count >= 0.05).collect();
    parts.sort_by(|one, other| other.1.total_cmp(one.1));
    let sum = short(each.values().sum());
    if parts.len() < 2 {
        return sum;
    }
    let parts: Vec<_> = parts.iter().map(|(name, count)| format!("{name} {}", short(**count))).collect();
    format!("{sum} ({})", parts.join(", "))
}

/// Everything that a server does from its start to its end, with so many requests in between.
fn count(bench: &mut Bench, instrument: Instrument, asked: Asked, requests: u64) -> Result<Counts> {
    let file = bench.logs.join("instrument.out");
    let words: Vec<_> =
        instrument.words.iter().map(|word| word.replace("@FILE@", &file.display().to_string())).collect();
    let (server, target) = start(bench, &words, asked)?;
    Closed::connect(&target, 1)?.run(Until::Answers(requests))?;
    // strace runs the server as its child, valgrind runs it itself.
    terminate(first_child(server.pid()).unwrap_or(server.pid()))?;
    server.wait()?;
    let text = fs::read_to_string(&file).with_context(|| format!("{} wrote nothing", instrument.words[0]))?;
    let counts = (instrument.read)(&text).with_context(|| format!("{} wrote no count", instrument.words[0]))?;
    bench.report.note(format_args!("{asked:?}, {requests} requests, {}: {counts:?}", instrument.what));
    Ok(counts)
}

fn start(bench: &Bench, instrument: &[String], asked: Asked) -> Result<(Server, Target)> {
    let product = bench.serve("exact", "ingest")?;
    remove(&product.data)?;
    if let Asked::BareGet = asked {
        let real = product.start()?;
        let (mut launch, address) = get::bare_launch(bench, &product, "bare", &[])?;
        let request = get::request(&product)?;
        drop(real);
        launch.command.splice(0..0, instrument.iter().cloned());
        return Ok((launch.start()?, Target::new(address, request)?));
    }
    let product = product.under(instrument);
    let server = product.start()?;
    let target = match asked {
        Asked::Post => Target::new(product.public, post("/api/message", &message()))?,
        _ => Target::new(product.internal, get::request(&product)?)?,
    };
    Ok((server, target))
}

fn single(count: f64) -> Counts {
    Counts::from([(String::new(), count)])
}

/// `totals: 123`
fn read_callgrind(text: &str) -> Option<Counts> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
    Some(single(line.split_whitespace().next()?.parse().ok()?))
}

/// `==1== Total:     1,234 bytes in 56 blocks`
fn read_dhat(text: &str) -> Option<Counts> {
    let line = text.lines().find(|line| line.contains("Total:"))?;
    let blocks = line.split(" bytes in ").nth(1)?.split_whitespace().next()?;
    Some(single(blocks.replace(',', "").parse().ok()?))
}

/// Lines such as `  500 recvfrom`; the last is the total. A call that a thread was in at the end is no count: it stands
/// there as `4711 ???(`, with the number of the thread.
fn read_strace(text: &str) -> Option<Counts> {
    let mut counts = Counts::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(Ok(count)), Some(name)) = (words.next().map(str::parse), words.next())
            && name != "total"
            && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
        {
            counts.insert(name.to_owned(), count);
        }
    }
    (!counts.is_empty()).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instrument_is_read() {
        assert_eq!(read_callgrind("events: Ir\ntotals: 123\n"), Some(single(123.0)));
        assert_eq!(read_dhat("==1== Total:     1,234 bytes in 5,600 blocks\n"), Some(single(5600.0)));
        let table = "calls syscall\n---- ----\n  500 recvfrom\n   20 futex\n---- ----\n  520 total\n4711 ???( <unfinished ...>\n";
        let counts = Counts::from([("recvfrom".to_owned(), 500.0), ("futex".to_owned(), 20.0)]);
        assert_eq!(read_strace(table), Some(counts.clone()));
        assert_eq!(describe(&counts), "520 (recvfrom 500, futex 20.0)");
        assert_eq!(read_callgrind("nothing"), None);
    }
}
