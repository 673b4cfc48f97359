//! `keelson archive expire`: what is older than it is to be kept.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use chassis::clock::{Clock, SystemClock};
use chassis::config::FromText;
use chassis::ports::ObjectError;
use jiff::civil::Date;
use pipeline::archive::{Batch, Volume};
use pipeline::model::retention::{Expiration, Retention};
use serde_json::{Value, json};

use super::out::{Halt, Out};
use super::store::Store;
use crate::cli::ExpireArgs;
use crate::failure::Failure;
use crate::output::confirmed;
use crate::settings::no_retention;

/// Before anything is opened.
pub(super) fn check_answerable(args: &ExpireArgs) -> Result<(), Failure> {
    if args.delete && !args.yes && !io::stdin().is_terminal() {
        return Err(Failure::usage("this deletes messages for good, and there is no terminal to ask: add --yes"));
    }
    Ok(())
}

pub(super) async fn run(store: &Store, args: &ExpireArgs, out: &mut Out) -> Result<(), Halt> {
    if let Some(expected) = no_retention(&store.url) {
        return Err(Failure::usage(format!("{}: expected {expected}", store.url)).into());
    }
    let kept = kept(store, args)?;
    let expiration = Expiration::at(SystemClock.now(), kept);
    if args.delete && !args.yes {
        let found = look(store, expiration, false, out).await?;
        let Some(question) = found.question()? else {
            return found.show(kept, args, out).await;
        };
        out.pause();
        if !confirmed(question).await {
            return Err(Failure::failed("nothing was deleted").into());
        }
    }
    let found = look(store, expiration, args.delete, out).await?;
    found.show(kept, args, out).await?;
    out.flush().await?;
    found.verdict()
}

fn kept(store: &Store, args: &ExpireArgs) -> Result<Retention, Failure> {
    match (&args.older_than, store.retention) {
        (Some(text), _) => Retention::from_text(text)
            .ok_or_else(|| Failure::usage(format!("--older-than {text}: expected {}", Retention::EXPECTED))),
        (None, Some(retention)) => Ok(retention.kept),
        (None, None) => Err(Failure::usage("how long are objects kept? --older-than 90d, or ARCHIVE_RETENTION")),
    }
}

async fn look(store: &Store, expiration: Expiration, deletes: bool, out: &mut Out) -> Result<Found, Halt> {
    let mut expiry = store.archive.expire(expiration, deletes);
    let mut found = Found::default();
    while let Some(batch) = expiry.next().await {
        found.note(batch);
        let (all, deleted) = (found.expired.objects, found.deleted.objects);
        match deletes {
            true => out.progress(format_args!("{deleted} of {all} objects deleted")),
            false => out.progress(format_args!("{all} objects have expired")),
        }
    }
    Ok(found)
}

/// What there is of each day; there are few days.
#[derive(Default)]
struct Found {
    days: BTreeMap<Date, (Volume, Volume)>,
    expired: Volume,
    deleted: Volume,
    /// The first one, and how many more.
    failure: Option<(ObjectError, u64)>,
}

impl Found {
    fn note(&mut self, batch: Result<Batch, ObjectError>) {
        let failure = match batch {
            Ok(batch) => {
                let (expired, deleted) = self.days.entry(batch.day).or_default();
                expired.add(batch.expired);
                deleted.add(batch.deleted);
                self.expired.add(batch.expired);
                self.deleted.add(batch.deleted);
                batch.failure
            }
            Err(error) => Some(error),
        };
        if let Some(error) = failure {
            self.failure.get_or_insert((error, 0)).1 += 1;
        }
    }

    /// The days, and what there is of all of them; `None` where there is nothing.
    fn spanned(&self) -> Option<(String, Volume)> {
        let (first, last) = (self.days.keys().next()?, self.days.keys().next_back()?);
        let days = if first == last { first.to_string() } else { format!("{first} to {last}") };
        Some((days, self.expired))
    }

    /// What is asked before it is deleted; `None` where there is nothing. All that is there must be known by then: what
    /// could not be looked at now may be looked at, and deleted, a moment later.
    fn question(&self) -> Result<Option<String>, Halt> {
        if let Some((error, _)) = &self.failure {
            return Err(Failure::from(error.clone()).with("; nothing was deleted").into());
        }
        let ask = |(days, Volume { objects, bytes }): (String, Volume)| {
            format!("Delete {} ({bytes} bytes) of {days} for good? [y/N] ", counted(objects))
        };
        Ok(self.spanned().map(ask))
    }

    async fn show(&self, kept: Retention, args: &ExpireArgs, out: &mut Out) -> Result<(), Halt> {
        if args.json {
            return out.line(self.to_json(kept, args.delete).to_string()).await;
        }
        let shown = |(expired, deleted): &(Volume, Volume)| if args.delete { *deleted } else { *expired };
        let Some((days, expired)) = self.spanned() else {
            return out.line(format!("nothing is older than {kept}")).await;
        };
        out.line(format!("{:<10}  {:>9}  {:>15}", "DAY", "OBJECTS", "BYTES")).await?;
        for (day, volumes) in &self.days {
            let Volume { objects, bytes } = shown(volumes);
            out.line(format!("{:<10}  {objects:>9}  {bytes:>15}", day.to_string())).await?;
        }
        let Volume { objects, bytes } = shown(&(expired, self.deleted));
        let (objects, deleted) = (counted(objects), if args.delete { ", deleted" } else { "" });
        out.line(format!("{objects} ({bytes} bytes) of {days}, older than {kept}{deleted}")).await?;
        if !args.delete {
            out.line("nothing was deleted; --delete deletes them for good").await?;
        }
        Ok(())
    }

    fn to_json(&self, kept: Retention, deletes: bool) -> Value {
        let day = |(day, (expired, deleted)): (&Date, &(Volume, Volume))| json!({ "day": day.to_string(), "expired": expired, "deleted": deleted });
        json!({
            "older_than": kept.to_string(), "delete": deletes, "expired": self.expired, "deleted": self.deleted,
            "failure": self.failure.as_ref().map(|(error, _)| error.to_string()),
            "days": self.days.iter().map(day).collect::<Vec<_>>(),
        })
    }

    fn verdict(self) -> Result<(), Halt> {
        match self.failure {
            None => Ok(()),
            Some((error, 1)) => Err(Failure::from(error).with("; the rest was done").into()),
            Some((error, times)) => {
                Err(Failure::from(error).with(&format!("; {times} times, the rest was done")).into())
            }
        }
    }
}

fn counted(objects: u64) -> String {
    if objects == 1 { "1 object".into() } else { format!("{objects} objects") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(objects: u64) -> Batch {
        let expired = Volume { objects, bytes: objects * 10 };
        Batch { day: "2025-06-09".parse().unwrap(), expired, deleted: Volume::default(), failure: None }
    }

    #[test]
    fn the_question_names_all_that_goes_and_is_not_asked_when_that_is_not_known() {
        let mut found = Found::default();
        assert_eq!(found.question().unwrap(), None, "there is nothing to agree to");
        found.note(Ok(batch(3)));
        let question = found.question().unwrap();
        assert_eq!(question.as_deref(), Some("Delete 3 objects (30 bytes) of 2025-06-09 for good? [y/N] "));
        found.note(Err(ObjectError::Unavailable("the list broke off".into())));
        let Err(Halt::Failed(failure)) = found.question() else { panic!("a question about what was not seen") };
        assert!(failure.to_string().contains("nothing was deleted"), "{failure}");
    }
}
