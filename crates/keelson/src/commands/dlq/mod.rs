//! `keelson dlq`: the dead letters of the running system through `/ops/v1`, or in the queue when nothing runs.

mod letters;
mod ops;
mod stopped;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};

use chassis::clock::{Clock, SystemClock};
use chassis::ports::{DeadLetters, MessageId};
use jiff::Timestamp;
use serde_json::json;

use self::letters::Letters;
use crate::cli::{Chosen, Common, DlqArgs, DlqCommand};
use crate::failure::Failure;
use crate::output::{confirmed, print, print_line, printable};

/// Letters of the reason in a list.
const SHOWN_REASON: usize = 80;

/// Lists, shows, redrives or purges.
pub(crate) async fn run(common: &Common, args: &DlqArgs) -> Result<(), Failure> {
    if let DlqCommand::Purge { yes: false, .. } = args.command
        && !io::stdin().is_terminal()
    {
        return Err(Failure::usage("this deletes messages for good, and there is no terminal to ask: add --yes"));
    }
    let dead = &*letters::open(common, args).await?;
    match &args.command {
        DlqCommand::List { limit, json } => list(dead, *limit, *json).await,
        DlqCommand::Show { id, json } => show(dead, id, *json).await,
        DlqCommand::Redrive(chosen) => redrive(dead, chosen).await,
        DlqCommand::Purge { chosen, yes } => purge(dead, chosen, *yes).await,
    }
}

async fn list(dead: &dyn Letters, limit: u16, as_json: bool) -> Result<(), Failure> {
    let letters = dead.list(limit.into()).await?;
    if as_json {
        print_line(&json!({ "count": letters.len(), "dead_letters": letters }).to_string());
        return Ok(());
    }
    if letters.is_empty() {
        print_line("no dead letters");
        return Ok(());
    }
    let now = SystemClock.now();
    print_line(&format!("{:<36}  {:>5}  {:>8}  {:>9}  REASON", "ID", "DEAD", "RECEIVED", "BYTES"));
    for letter in &letters {
        let (id, age) = (printable(&letter.id.0), age(letter.dead_at, now));
        let reason = shortened(&letter.reason);
        print_line(&format!("{id:<36}  {age:>5}  {:>8}  {:>9}  {reason}", letter.receive_count, letter.size_bytes));
    }
    let shown = letters.len();
    match dead.count().await? {
        Some(all) if all > shown as u64 => print_line(&format!("{shown} of {all}; --limit shows more, up to 1000")),
        None if shown == usize::from(limit) => print_line("there may be more; --limit shows them, up to 1000"),
        _ => {}
    }
    Ok(())
}

fn shortened(reason: &str) -> String {
    let start: String = printable(reason).chars().take(SHOWN_REASON).collect();
    if start.len() < reason.len() && reason.chars().count() > SHOWN_REASON { format!("{start}…") } else { start }
}

/// `5s`, `5m`, `5h`, `5d`: what a person wants to know.
fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

async fn show(dead: &dyn Letters, id: &str, as_json: bool) -> Result<(), Failure> {
    let Some(letter) = dead.find(id).await? else { return Err(unknown(&[id])) };
    if as_json {
        print_line(&json!(letter).to_string());
        return Ok(());
    }
    let now = SystemClock.now();
    let mut text = format!("id         {}\nreason     {}\n", printable(&letter.id.0), printable(&letter.reason));
    text.push_str(&format!("received   {}\nsent       {}\n", times(letter.receive_count), letter.sent_at));
    text.push_str(&format!("dead       {}, {} ago\n", letter.dead_at, age(letter.dead_at, now)));
    for (name, value) in &letter.attributes {
        text.push_str(&format!("attribute  {}={}\n", printable(name), printable(value)));
    }
    text.push('\n');
    // A terminal obeys what a program gets as it is.
    let is_terminal = io::stdout().is_terminal();
    let body = letter.body.lines().map(|line| if is_terminal { printable(line) } else { line.to_owned() });
    text.push_str(&body.collect::<Vec<_>>().join("\n"));
    print(&format!("{text}\n"));
    Ok(())
}

async fn redrive(dead: &dyn Letters, chosen: &Chosen) -> Result<(), Failure> {
    let count = dead.redrive(choice(dead, chosen).await?).await?;
    print_line(&format!("{} went back to the queue", counted(count)));
    Ok(())
}

async fn purge(dead: &dyn Letters, chosen: &Chosen, yes: bool) -> Result<(), Failure> {
    let which = choice(dead, chosen).await?;
    if !yes {
        let count = match &which {
            DeadLetters::All => dead.count().await?,
            DeadLetters::Ids(ids) => Some(ids.len() as u64),
        };
        if count == Some(0) {
            print_line("no dead letters");
            return Ok(());
        }
        let these = count.map_or_else(|| "all dead letters".into(), counted);
        let question = format!("Delete {these} for good? [y/N] ");
        if !confirmed(question).await {
            return Err(Failure::failed("nothing was deleted"));
        }
    }
    let count = dead.purge(which).await?;
    print_line(&format!("{} deleted", counted(count)));
    Ok(())
}

/// All, or those that are named. Nothing is done when one of several is not there: the user should look again.
async fn choice(dead: &dyn Letters, chosen: &Chosen) -> Result<DeadLetters, Failure> {
    if chosen.all {
        return Ok(DeadLetters::All);
    }
    let mut unknown_ids = Vec::new();
    let ids: BTreeSet<_> = chosen.ids.iter().collect();
    for &id in &ids {
        if dead.find(id).await?.is_none() {
            unknown_ids.push(id.as_str());
        }
    }
    if unknown_ids.is_empty() {
        Ok(DeadLetters::Ids(ids.into_iter().cloned().map(MessageId).collect()))
    } else {
        Err(unknown(&unknown_ids))
    }
}

fn unknown(ids: &[&str]) -> Failure {
    let ids: Vec<_> = ids.iter().map(|id| printable(id)).collect();
    Failure::failed(format!("no dead letter {}; `keelson dlq list` shows those there are", ids.join(", ")))
}

fn counted(count: u64) -> String {
    if count == 1 { "1 dead letter".to_owned() } else { format!("{count} dead letters") }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit_and_a_reason_one_line() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (7_300, "2h"), (200_000, "2d"), (-5, "0s")] {
            assert_eq!(age(at(0), at(seconds)), text);
        }
        assert_eq!(shortened("a\nb"), "a\u{fffd}b");
        assert_eq!(shortened(&"ä".repeat(81)), format!("{}…", "ä".repeat(80)));
        assert_eq!(shortened(&"ä".repeat(80)), "ä".repeat(80));
    }
}
