//! `keelson send`: messages out of files, to `POST /api/message`. A thread reads (`source`), a bounded channel carries
//! (`feed`), one loop holds the state and the counts (`run`), a task for each message sends it (`post`) to the service
//! that runs (`service`) or, when nothing runs, to its queue (`waiting`).

mod checks;
mod dry_run;
mod feed;
mod format;
mod gate;
mod jsonl;
mod mail;
mod mbox;
mod nesting;
mod place;
mod post;
mod report;
mod run;
mod service;
mod source;
mod state;
mod target;
mod waiting;
mod walk;
mod way;

use std::path::PathBuf;
use std::time::Duration;

use chassis::config::FromText;
use indicatif::ProgressBar;

pub(crate) use format::Format;

use self::feed::Fodder;
use self::gate::Gate;
use self::place::STDIN;
use self::post::Post;
use self::report::{Problem, Report};
use self::run::Run;
use self::source::Reading;
use self::state::State;
use self::walk::Walk;
use self::way::Way;
use super::interruptible;
use crate::cli::{Common, SendArgs};
use crate::failure::Failure;

/// Sends, or tries what could be sent.
pub(crate) async fn run(common: &Common, args: &SendArgs) -> Result<(), Failure> {
    let patience = Duration::from_text(&args.patience)
        .ok_or_else(|| Failure::usage(format!("--patience {}: expected {}", args.patience, Duration::EXPECTED)))?;
    check_paths(args)?;
    if args.dry_run {
        return interruptible(dry_run::run(common, args)).await;
    }
    let way = interruptible(Way::find(common, args.url.as_deref())).await?;
    let state = args.resume.as_deref().map(|path| State::open(path, way.name())).transpose()?;
    let (report, fodder) = start_reading(args);
    let post = Post { way, gate: Gate::new(patience) };
    let mut run = Run::new(post, state, report);
    run.send_all(fodder, usize::from(args.concurrency)).await?;
    let way = &run.post.way;
    run.report.finish(Some((way.shown(), way.is_running())), args.json);
    verdict(run.post.gate.why_stopped(), &run.report, args.resume.is_some())
}

/// Standard input can be read once.
fn check_paths(args: &SendArgs) -> Result<(), Failure> {
    let stdin = args.paths.iter().filter(|path| path.as_os_str() == STDIN).count();
    if stdin > 1 { Err(Failure::usage("`-` can be named once")) } else { Ok(()) }
}

/// Starts the thread that reads, and one that adds up sizes for the progress.
fn start_reading(args: &SendArgs) -> (Report, Fodder) {
    let sized = args.paths.iter().all(|path| path.is_file() || path.is_dir());
    let report = Report::new(sized, args.dry_run);
    let reading = Reading { format: args.format, file_time: args.file_time };
    let walk = Walk::new(args.paths.clone(), args.resume.as_deref());
    let fodder = feed::start(usize::from(args.concurrency), report.bar.clone(), move |sink| {
        source::read_all(walk, reading, sink);
    });
    if sized && !report.bar.is_hidden() {
        let (paths, state, bar) = (args.paths.clone(), args.resume.clone(), report.bar.clone());
        tokio::task::spawn_blocking(move || add_up(paths, state, &bar));
    }
    (report, fodder)
}

fn add_up(paths: Vec<PathBuf>, state: Option<PathBuf>, bar: &ProgressBar) {
    for size in source::sizes(paths, state.as_deref()) {
        if bar.is_finished() {
            break;
        }
        bar.inc_length(size);
    }
}

/// How the command ends.
fn verdict(stopped: Option<Failure>, report: &Report, resumable: bool) -> Result<(), Failure> {
    let advice = if resumable {
        "; the same command goes on where it stopped"
    } else {
        "; the same command sends everything again, with --resume FILE it would go on where it stopped"
    };
    if let Some(failure) = stopped {
        return Err(if failure.is_usage() { failure } else { failure.with(advice) });
    }
    let not_sent = report.count(Problem::NotSent);
    if not_sent > 0 {
        return Err(Failure::failed(format!("{not_sent} not sent, see above{advice}")));
    }
    let failed = report.count(Problem::Failed);
    if failed > 0 {
        return Err(Failure::unavailable(format!("the service failed with {failed} messages{advice}")));
    }
    let unsent = report.count(Problem::Refused) + report.count(Problem::Unreadable);
    if unsent > 0 {
        return Err(Failure::data(format!("{unsent} not sent, each with its reason above")));
    }
    Ok(())
}
