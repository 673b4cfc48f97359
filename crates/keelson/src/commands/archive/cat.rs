//! `keelson archive cat`: messages as they are stored.

use chassis::ports::MessageId;
use jiff::civil::Date;
use pipeline::archive::Span;

use super::Damage;
use super::out::{Halt, Out};
use super::store::Store;
use crate::failure::Failure;
use crate::output::printable;

pub(super) async fn run(store: &Store, ids: &[String], day: Option<Date>, out: &mut Out) -> Result<(), Halt> {
    let span = day.map_or(Span::ALL, Span::day);
    let (mut unknown, mut damage) = (Vec::new(), Damage::default());
    for id in ids {
        let found = store.archive.find(&MessageId(id.clone()), &span, store.today).await?;
        for damaged in found.damaged {
            damage.note(damaged, out)?;
        }
        match found.message {
            Some((_, record)) => out.line(record).await?,
            None => unknown.push(printable(id)),
        }
    }
    out.flush().await?;
    damage.verdict()?;
    if unknown.is_empty() { Ok(()) } else { Err(not_there(&unknown, day).into()) }
}

fn not_there(ids: &[String], day: Option<Date>) -> Failure {
    let when = day.map(|day| format!(" on {day}")).unwrap_or_default();
    Failure::failed(format!("no message {}{when} in the archive", ids.join(", ")))
}
