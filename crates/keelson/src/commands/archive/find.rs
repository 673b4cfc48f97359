//! `keelson archive find`: the messages that match.

use bytes::Bytes;
use chassis::ports::MessageId;
use futures_util::{Stream, StreamExt as _, stream};
use pipeline::archive::{Archive, ArchiveError, Entry, Span};
use pipeline::model::record::{on_one_line, stored};

use super::out::{Halt, Out};
use super::store::Store;
use super::table::Table;
use super::{Damage, span};
use crate::cli::FindArgs;
use crate::failure::Failure;

/// Records that are read at once.
const READS: usize = 32;

/// An entry that was looked at; with its record where that was needed and there.
type Looked = Result<(Entry, Option<Bytes>), ArchiveError>;

pub(super) async fn run(store: &Store, args: &FindArgs, out: &mut Out) -> Result<(), Halt> {
    let days = args.days;
    let asked = [args.id.is_some(), args.correlation_id.is_some(), args.text.is_some()];
    if !asked.contains(&true) && days.day.or(days.since).or(days.until).is_none() {
        return Err(Failure::usage("what is to be found? --id, --correlation-id, --text, or days").into());
    }
    let span = span(days, store.today);
    let (mut matches, mut damage) = (Matches::new(args), Damage::default());
    if let Some(id) = &args.id {
        let found = store.archive.find(&MessageId(id.clone()), &span, store.today).await?;
        for damaged in found.damaged {
            damage.note(damaged, out)?;
        }
        if let Some((entry, record)) = found.message {
            matches.look((entry, Some(record)), out).await?;
        }
    } else {
        look_through(&store.archive, &span, &mut matches, &mut damage, out).await?;
    }
    out.flush().await?;
    damage.verdict()?;
    if matches.table.rows == 0 { Err(Failure::failed("no message matches").into()) } else { Ok(()) }
}

async fn look_through(
    archive: &Archive,
    span: &Span,
    matches: &mut Matches<'_>,
    damage: &mut Damage,
    out: &mut Out,
) -> Result<(), Halt> {
    let mut looked_at = 0;
    let mut records = Box::pin(records(archive, span, matches.args));
    while matches.args.limit.is_none_or(|limit| matches.table.rows < limit) {
        let looked = tokio::select! {
            looked = records.next() => looked,
            () = out.due() => {
                out.flush().await?;
                continue;
            }
        };
        looked_at += 1;
        match looked {
            Some(Ok(looked)) => {
                out.progress(format_args!("{looked_at} messages looked at, {}", looked.0.day));
                matches.look(looked, out).await?;
            }
            Some(Err(error)) => damage.note(error, out)?,
            None => break,
        }
    }
    Ok(())
}

/// Every message of these days, with its record where the index does not tell enough.
fn records<'a>(archive: &'a Archive, span: &Span, args: &'a FindArgs) -> impl Stream<Item = Looked> + 'a {
    let entries = stream::unfold(archive.entries(span), async |mut entries| Some((entries.next().await?, entries)));
    entries
        .map(move |entry| async move {
            let entry = entry?;
            if !needs_record(args, &entry) {
                return Ok((entry, None));
            }
            let record = archive.read(&entry).await?;
            Ok((entry, record))
        })
        .buffered(READS)
}

fn needs_record(args: &FindArgs, entry: &Entry) -> bool {
    match (&args.correlation_id, entry.correlation_id()) {
        (Some(wanted), Some(found)) if found != Some(wanted.as_str()) => false,
        (Some(_), None) => true,
        _ => args.text.is_some() || args.json,
    }
}

/// What matched so far.
struct Matches<'a> {
    args: &'a FindArgs,
    table: Table,
}

impl<'a> Matches<'a> {
    fn new(args: &'a FindArgs) -> Self {
        Self { args, table: Table::new(false) }
    }

    async fn look(&mut self, (mut entry, record): (Entry, Option<Bytes>), out: &mut Out) -> Result<(), Halt> {
        let record = record.as_deref().map(String::from_utf8_lossy);
        if !self.is_match(&entry, record.as_deref()) {
            return Ok(());
        }
        if let Some(record) = record.as_deref().filter(|_| self.args.json) {
            self.table.rows += 1;
            return out.line(on_one_line(record.to_owned())).await;
        }
        entry.sent_at = entry.sent_at.or_else(|| stored(record?.as_bytes()).map(|stored| stored.sent_at));
        self.table.row(&entry, out).await
    }

    /// What was needed and is not there is gone meanwhile.
    fn is_match(&self, entry: &Entry, record: Option<&str>) -> bool {
        if record.is_none() && needs_record(self.args, entry) {
            return false;
        }
        let has_text = self.args.text.as_deref().is_none_or(|text| record.is_some_and(|record| record.contains(text)));
        let has_correlation_id =
            self.args.correlation_id.as_deref().is_none_or(|wanted| match entry.correlation_id() {
                Some(found) => found == Some(wanted),
                None => record.and_then(|record| stored(record.as_bytes())?.correlation_id).as_deref() == Some(wanted),
            });
        has_text && has_correlation_id
    }
}
