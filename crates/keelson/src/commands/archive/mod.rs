//! `keelson archive`: lists, prints and finds what is stored, through the object store itself, and deletes what has
//! expired.

mod cat;
mod expire;
mod find;
mod ls;
mod out;
mod store;
mod table;

use jiff::civil::Date;
use pipeline::archive::{ArchiveError, Span};

use self::out::{Halt, Out};
use crate::cli::{ArchiveArgs, ArchiveCommand, Common, Days};
use crate::failure::Failure;

/// Lists, prints, finds or deletes.
pub(crate) async fn run(common: &Common, args: &ArchiveArgs) -> Result<(), Failure> {
    if let ArchiveCommand::Expire(args) = &args.command {
        expire::check_answerable(args)?;
    }
    let store = store::open(common).await?;
    let mut out = Out::new();
    let done = match &args.command {
        ArchiveCommand::Ls { days, limit, json } => {
            ls::run(&store.archive, &span(*days, store.today), *limit, *json, &mut out).await
        }
        ArchiveCommand::Cat { ids, day } => cat::run(&store, ids, *day, &mut out).await,
        ArchiveCommand::Find(args) => find::run(&store, args, &mut out).await,
        ArchiveCommand::Expire(args) => expire::run(&store, args, &mut out).await,
    };
    let flushed = out.finish().await;
    match done.and(flushed) {
        Err(Halt::Failed(failure)) => Err(failure),
        // Whoever reads has seen enough.
        Ok(()) | Err(Halt::Closed) => Ok(()),
    }
}

fn span(days: Days, today: Date) -> Span {
    match days.day {
        Some(day) => Span::day(day),
        None if days.since.is_none() && days.until.is_none() => Span::ALL,
        None => Span::between(days.since, days.until, today),
    }
}

/// What could not be read, each named when it is met.
#[derive(Debug, Default)]
struct Damage {
    objects: usize,
}

impl Damage {
    /// Goes on after damage, and not when the store fails.
    fn note(&mut self, error: ArchiveError, out: &Out) -> Result<(), Halt> {
        match error {
            ArchiveError::Store(error) => Err(Halt::Failed(error.into())),
            damaged @ ArchiveError::Damaged { .. } => {
                self.objects += 1;
                out.say(&format!("damaged: {damaged}"));
                Ok(())
            }
        }
    }

    /// How the command ends.
    fn verdict(&self) -> Result<(), Halt> {
        match self.objects {
            0 => Ok(()),
            1 => Err(Failure::failed("something is damaged, see above; the rest was read").into()),
            times => {
                Err(Failure::failed(format!("{times} times something is damaged, see above; the rest was read")).into())
            }
        }
    }
}
