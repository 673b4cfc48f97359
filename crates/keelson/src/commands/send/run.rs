//! The loop that sends: takes messages while there is room, notes what the service acknowledged, and ends in order.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::feed::{Fed, Fodder};
use super::place::Place;
use super::post::{Outcome, Post};
use super::report::{Problem, Report};
use super::state::{Acknowledged, State};
use crate::failure::Failure;

/// How long answers are waited for when the sending ends.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The number of a message in the order of reading, and what became of it.
type Done = (u64, Outcome);

/// One sending.
pub(super) struct Run {
    pub(super) post: Arc<Post>,
    pub(super) report: Report,
    state: Option<Arc<Mutex<State>>>,
    already_sent: HashSet<u128>,
    tasks: JoinSet<Done>,
    /// Messages whose answer is awaited.
    in_work: BTreeMap<u64, InWork>,
    taken: u64,
}

struct InWork {
    place: Place,
    key: u128,
    _share: OwnedSemaphorePermit,
}

impl Run {
    pub(super) fn new(post: Post, mut state: Option<State>, report: Report) -> Self {
        let already_sent = state.as_mut().map(|state| std::mem::take(&mut state.keys)).unwrap_or_default();
        Self {
            post: Arc::new(post),
            report,
            state: state.map(|state| Arc::new(Mutex::new(state))),
            already_sent,
            tasks: JoinSet::new(),
            in_work: BTreeMap::new(),
            taken: 0,
        }
    }

    /// Sends what comes, until there is no more or the sending ends.
    pub(super) async fn send_all(&mut self, mut fodder: Fodder, concurrency: usize) -> Result<(), Failure> {
        let mut interrupts =
            signal(SignalKind::interrupt()).map_err(|error| Failure::failed(format!("no signals: {error}")))?;
        let mut all_read = false;
        while !all_read || !self.tasks.is_empty() {
            tokio::select! {
                biased;
                _ = interrupts.recv() => self.post.gate.stop(Failure::interrupted()),
                () = self.post.gate.stopped() => break,
                Some(done) = self.tasks.join_next() => self.settle(done.ok()).await,
                fed = fodder.next(), if !all_read && self.tasks.len() < concurrency => match fed {
                    None => {
                        all_read = true;
                        fodder.fault().await.into_iter().for_each(|fault| self.post.gate.stop(fault));
                    }
                    Some(fed) => self.take(fed),
                },
            }
        }
        let unsent = fodder.end();
        self.last_answers(&mut interrupts).await;
        let last = unsent.last().map(|found| found.place.clone());
        for found in unsent {
            match found.content {
                Ok(content) if self.already_sent.contains(&content.key) => self.report.already_sent(),
                Ok(_) => self.report.problem(Problem::NotSent, &found.place, "the sending ended"),
                Err(reason) => self.report.problem(Problem::Unreadable, &found.place, &reason),
            }
        }
        if !all_read {
            let after =
                last.map_or_else(|| "whatever was not read yet".to_owned(), |place| format!("all after {place}"));
            self.report.say(&format!("not sent: {after}"));
        }
        Ok(())
    }

    fn take(&mut self, fed: Fed) {
        let content = match fed.found.content {
            Ok(content) if self.already_sent.contains(&content.key) => return self.report.already_sent(),
            Ok(content) => content,
            Err(reason) => return self.report.problem(Problem::Unreadable, &fed.found.place, &reason),
        };
        self.taken += 1;
        let number = self.taken;
        self.in_work.insert(number, InWork { place: fed.found.place, key: content.key, _share: fed.share });
        let post = Arc::clone(&self.post);
        self.tasks.spawn(async move { (number, post.deliver(&content.data).await) });
    }

    /// Counts what is done, and has the disk note what was acknowledged: one write for all that came together.
    async fn settle(&mut self, first: Option<Done>) {
        let mut acknowledged = Vec::new();
        let mut next = first;
        while let Some((number, outcome)) = next {
            if let Some(it) = self.in_work.remove(&number) {
                match outcome {
                    Outcome::Sent(message_id) => {
                        self.report.sent();
                        acknowledged.push(Acknowledged { key: it.key, place: it.place, message_id });
                    }
                    Outcome::Refused(reason) => self.report.problem(Problem::Refused, &it.place, &reason),
                    Outcome::Failed(reason) => self.report.problem(Problem::Failed, &it.place, &reason),
                    Outcome::NotSent => self.report.problem(Problem::NotSent, &it.place, "the sending ended"),
                }
            }
            next = self.tasks.try_join_next().and_then(Result::ok);
        }
        if let Some(state) = self.state.clone().filter(|_| !acknowledged.is_empty()) {
            let note = move || state.lock().unwrap_or_else(PoisonError::into_inner).note(&acknowledged);
            if let Ok(Err(failure)) = tokio::task::spawn_blocking(note).await {
                self.post.gate.stop(failure);
            }
        }
    }

    /// Waits a moment for answers that are on their way, unless the user insists.
    async fn last_answers(&mut self, interrupts: &mut Signal) {
        let deadline = Instant::now() + LAST_ANSWERS;
        while !self.tasks.is_empty() {
            tokio::select! {
                biased;
                _ = interrupts.recv() => break,
                done = timeout_at(deadline, self.tasks.join_next()) => match done {
                    Ok(Some(done)) => self.settle(done.ok()).await,
                    Ok(None) | Err(_) => break,
                },
            }
        }
        self.tasks.abort_all();
        for it in std::mem::take(&mut self.in_work).into_values() {
            self.report.problem(Problem::NotSent, &it.place, "no answer yet; the service may have it");
        }
    }
}
