//! The order of things: build, hand over, wait for an edit. One process serves at a time, since one owns the data
//! folder: the next is started when the one before has ended, and who connects in between waits in the sockets.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::build::Builder;
use super::child::{Event, Launcher, Running};
use super::console::{complain, say, took};
use super::ending::{Signals, described, end};
use super::program::{Program, Programs};
use super::shown;
use super::watch::Watch;
use super::workspace::Workspace;
use crate::failure::Failure;

/// How long a start may take before that is said.
const LONG_START: Duration = Duration::from_secs(10);
/// The pause before a process that ended by itself is started again, doubled each time that it helps nothing.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a process must have run for its end to be a new matter.
const LONG_RUN: Duration = Duration::from_secs(60);

/// Files that are named; of more there is a count.
const NAMED_FILES: usize = 3;

pub(super) struct Supervisor {
    builder: Builder,
    watch: Watch,
    programs: Programs,
    launcher: Launcher,
    grace: Duration,
    root: PathBuf,
    running: Option<Running>,
    /// The last program that was ready.
    good: Option<Arc<Program>>,
    /// What is to run.
    wanted: Option<Arc<Program>>,
    pause: Duration,
}

/// How the start of a program ended.
enum Start {
    Ready,
    Failed(String),
    /// Files have changed meanwhile, and the next build replaces it anyway.
    Overtaken,
}

impl Supervisor {
    pub(super) fn new(
        (builder, grace): (Builder, Duration),
        watch: Watch,
        programs: Programs,
        launcher: Launcher,
        workspace: &Workspace,
    ) -> Self {
        let root = workspace.root.clone();
        let (running, good, wanted) = (None, None, None);
        Self { builder, watch, programs, launcher, grace, root, running, good, wanted, pause: FIRST_PAUSE }
    }

    /// Goes on until a signal; a second one ends what runs where it is.
    pub(super) async fn run(mut self) -> Result<ExitCode, Failure> {
        let mut signals =
            Signals::listen().map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")))?;
        let failure = tokio::select! {
            biased;
            () = signals.next() => None,
            ended = self.work() => Some(match ended {
                Err(failure) => failure,
                Ok(never) => match never {},
            }),
        };
        let Some(mut running) = self.running.take() else { return failure.map_or(Ok(ExitCode::SUCCESS), Err) };
        tokio::select! {
            () = end(&mut running, self.grace) => {}
            () = signals.next() => {
                complain("stopping at once");
                running.kill();
                let _ = running.ended().await;
            }
        }
        failure.map_or(Ok(ExitCode::SUCCESS), Err)
    }

    async fn work(&mut self) -> Result<Infallible, Failure> {
        say(&format!("watching the packages of {}; Ctrl-C stops", self.root.display()));
        loop {
            self.build().await?;
            let edits = self.watch_over().await;
            say(&format!("changed: {}", self.named(&edits)));
        }
    }

    /// Builds, and hands over to what was built if that is another program.
    async fn build(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let built = self.builder.build().await?;
        if self.watch.has_edits() {
            say("files changed during the build: building again");
            return Ok(());
        }
        let Some(executable) = built else {
            complain(&format!("the build failed; {}", self.state()));
            return Ok(());
        };
        let took = took(begun.elapsed());
        if self.running.as_ref().is_some_and(|running| running.program.is_of(&executable)) {
            say(&format!("built in {took}: the same program, {}", self.state()));
            return Ok(());
        }
        match self.programs.keep(&executable).await {
            Ok(program) => {
                say(&format!("built in {took}"));
                self.hand_over(program).await;
            }
            Err(error) => complain(&format!("{}: {error}; {}", executable.display(), self.state())),
        }
        Ok(())
    }

    async fn hand_over(&mut self, program: Arc<Program>) {
        let begun = Instant::now();
        // It stays where it is until it has ended, so that a signal meanwhile finds it.
        if let Some(running) = &mut self.running {
            end(running, self.grace).await;
        }
        self.running = None;
        self.pause = FIRST_PAUSE;
        self.wanted = Some(Arc::clone(&program));
        match self.start(&program).await {
            Start::Ready => {
                let (sockets, took) = (self.launcher.sockets(), took(begun.elapsed()));
                let what = if self.good.is_none() { "ready" } else { "handed over" };
                say(&format!("{what} in {took}, {sockets} sockets kept"));
                self.good = Some(program);
            }
            Start::Overtaken => {}
            Start::Failed(why) => self.fall_back(&why).await,
        }
    }

    /// Runs the last program that was ready, when there is one that is not the one that failed.
    async fn fall_back(&mut self, why: &str) {
        let Some(good) = self.good.clone() else {
            complain(&format!("the new program {why} before it was ready"));
            return;
        };
        complain(&format!("the new program {why} before it was ready: starting the build of {} again", good.built_at));
        self.wanted = Some(Arc::clone(&good));
        match self.start(&good).await {
            Start::Ready => say(&self.state()),
            Start::Overtaken => {}
            Start::Failed(why) => complain(&format!("the build of {} {why} too", good.built_at)),
        }
    }

    /// Starts a program and waits until it is ready.
    async fn start(&mut self, program: &Arc<Program>) -> Start {
        let running = match self.launcher.start(Arc::clone(program), self.good.is_none()) {
            Ok(running) => self.running.insert(running),
            Err(error) => return Start::Failed(format!("could not be started ({error})")),
        };
        let mut long = pin!(sleep(LONG_START));
        loop {
            let is_told = long.is_elapsed();
            tokio::select! {
                event = running.event() => match event {
                    Event::Ready => return Start::Ready,
                    Event::Ended(ended) => {
                        self.running = None;
                        return Start::Failed(described(&ended));
                    }
                },
                () = self.watch.edited() => return Start::Overtaken,
                () = &mut long, if !is_told => {
                    say("not ready yet: its log says why, and /health/ready which dependency is down");
                }
            }
        }
    }

    /// Waits for edits. Starts a process that ended by itself again, with longer and longer pauses.
    async fn watch_over(&mut self) -> BTreeSet<PathBuf> {
        let mut again_at = Instant::now() + self.pause;
        loop {
            let Some(running) = &mut self.running else {
                tokio::select! {
                    edits = self.watch.edits() => return edits,
                    () = sleep_until(again_at), if self.wanted.is_some() => self.start_again(),
                }
                again_at = Instant::now() + self.pause;
                continue;
            };
            tokio::select! {
                edits = self.watch.edits() => return edits,
                event = running.event() => match event {
                    Event::Ready => {
                        say("ready");
                        self.good = Some(Arc::clone(&running.program));
                    }
                    Event::Ended(ended) => {
                        if running.since.elapsed() > LONG_RUN {
                            self.pause = FIRST_PAUSE;
                        }
                        self.running = None;
                        let (ended, pause) = (described(&ended), took(self.pause));
                        complain(&format!("the program {ended}: starting it again in {pause}, or at the next edit"));
                        again_at = Instant::now() + self.pause;
                    }
                },
            }
        }
    }

    fn start_again(&mut self) {
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let Some(program) = self.wanted.clone() else { return };
        match self.launcher.start(program, self.good.is_none()) {
            Ok(running) => self.running = Some(running),
            Err(error) => complain(&format!("the program could not be started ({error})")),
        }
    }

    /// What goes on while there is nothing new.
    fn state(&self) -> String {
        match &self.running {
            Some(running) => format!("still serving the build of {}", running.program.built_at),
            None => "nothing runs until it is mended".to_owned(),
        }
    }

    fn named(&self, edits: &BTreeSet<PathBuf>) -> String {
        if edits.contains(&self.root) {
            return "more than the system could tell".to_owned();
        }
        let names: Vec<String> = edits.iter().take(NAMED_FILES).map(|path| shown(path, &self.root)).collect();
        let more = edits.len().saturating_sub(NAMED_FILES);
        names.join(", ") + &if more == 0 { String::new() } else { format!(" and {more} more") }
    }
}
