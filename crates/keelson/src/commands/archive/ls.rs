//! `keelson archive ls`: what there is.

use pipeline::archive::{Archive, Span};

use super::Damage;
use super::out::{Halt, Out};
use super::table::Table;

pub(super) async fn run(
    archive: &Archive,
    span: &Span,
    limit: Option<u64>,
    as_json: bool,
    out: &mut Out,
) -> Result<(), Halt> {
    let (mut table, mut damage) = (Table::new(as_json), Damage::default());
    let mut entries = archive.entries(span);
    while limit.is_none_or(|limit| table.rows < limit) {
        let entry = tokio::select! {
            entry = entries.next() => entry,
            () = out.due() => {
                out.flush().await?;
                continue;
            }
        };
        match entry {
            Some(Ok(entry)) => {
                table.row(&entry, out).await?;
                out.progress(format_args!("{} messages looked at, {}", table.rows, entry.day));
            }
            Some(Err(error)) => damage.note(error, out)?,
            None => break,
        }
    }
    if table.rows == 0 && !as_json {
        out.line("no messages").await?;
    }
    damage.verdict()
}
