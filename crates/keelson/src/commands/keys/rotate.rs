//! `keelson keys rotate`: the next step of a rotation in a file, all of them with pauses, or one from standard input to
//! standard output.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use backends::local::{SecretFile, SecretFileError, random_bytes};
use chassis::clock::{Clock, SystemClock};
use chassis::config::FromText;
use chassis::envelope::{NotRotatable, RingText, RotationStep};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use super::{interruptible, is_stdin, print_secret, read_stdin, rings, told};
use crate::cli::{Common, RotateArgs};
use crate::failure::Failure;
use crate::output::{print_line, print_notice, printable};

/// What a pause may be.
const LONGEST: Duration = Duration::from_secs(86_400);
/// A service needs five seconds to see a file, and calls that it has begun by then need some more.
const SHORTEST_SAFE: Duration = Duration::from_secs(10);

pub(super) async fn run(common: &Common, args: &RotateArgs) -> Result<(), Failure> {
    let wait = args.wait.as_deref().map(pause).transpose()?;
    let path = match &args.file {
        Some(path) if is_stdin(path) && wait.is_some() => {
            return Err(Failure::usage("--wait needs a FILE: standard input is read once"));
        }
        Some(path) if is_stdin(path) => return interruptible(rotate_stdin()).await,
        Some(path) => path.clone(),
        None => {
            let (layers, settings) = rings::load(common)?;
            rings::default_file(&layers, &settings)?
        }
    };
    if args.print {
        return print_next(&parse(&SecretFile::read(&path).map_err(explain)?, &path)?, &path);
    }
    let mut rotation = Rotation::open(&path)?;
    let Some(wait) = wait else {
        return interruptible(async { rotation.step().map(|_step| rotation.tell_next()) }).await;
    };
    tokio::select! {
        // As in `interruptible`, but between two steps there is something to tell.
        biased;
        _ = tokio::signal::ctrl_c() => {}
        done = rotation.finish(wait) => return done,
    }
    Err(rotation.interrupted())
}

fn pause(text: &str) -> Result<Duration, Failure> {
    let wait = Duration::from_text(text).filter(|wait| (Duration::from_secs(1)..=LONGEST).contains(wait));
    let wrong = || Failure::usage(format!("--wait {text}: expected a time between 1s and 1d, such as `15s` or `10m`"));
    let wait = wait.ok_or_else(wrong)?;
    if wait < SHORTEST_SAFE {
        print_notice(&format!(
            "warning: with a pause of {text}, services that have not read a step yet refuse calls of others; 15s is \
             enough where they read a file"
        ));
    }
    Ok(wait)
}

async fn rotate_stdin() -> Result<(), Failure> {
    print_next(&read_stdin().await?, Path::new("-"))
}

/// Prints the next ring, and beside it what is different.
fn print_next(ring: &RingText, path: &Path) -> Result<(), Failure> {
    let (step, next) = rotated(ring, path)?;
    print_secret(&next.to_secret());
    print_notice(&told::done(step, ring, &next));
    if step != RotationStep::Remove
        && let Ok(after) = told::next(&next)
    {
        print_notice(&format!("next: {after}, {}", told::WHEN_READ));
    }
    Ok(())
}

fn parse(text: &SecretString, path: &Path) -> Result<RingText, Failure> {
    RingText::parse(text).map_err(|error| Failure::usage(format!("{}: {error}", shown(path))))
}

fn rotated(ring: &RingText, path: &Path) -> Result<(RotationStep, RingText), Failure> {
    let random = random_bytes()?;
    let next = ring.rotate(SystemClock.now(), &random).map_err(|error| refused(&error, path))?;
    Ok((next_step(ring, path)?, next))
}

fn next_step(ring: &RingText, path: &Path) -> Result<RotationStep, Failure> {
    ring.next_step().map_err(|error| refused(&error, path))
}

fn refused(error: &NotRotatable, path: &Path) -> Failure {
    Failure::failed(format!("{}: {error}", shown(path)))
}

fn shown(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { printable(&path.display().to_string()) }
}

/// Says what to do instead.
fn explain(error: SecretFileError) -> Failure {
    let more = match &error {
        SecretFileError::NotFound(_) => {
            "; `keelson keys generate` prints one, and `keelson up` makes one in its data folder"
        }
        SecretFileError::InUse(_) => "; let it finish, or stop it: the ring is a good one after each step",
        SecretFileError::Unwritable { .. } => {
            "; it is as it was. Where it is mounted from elsewhere, such as a Secret of Kubernetes, change it there: \
             with --print this command prints the next ring"
        }
        SecretFileError::Changed(_) => "; look at it with `keelson keys list` before the next step",
        _ => "",
    };
    Failure::from(error).with(more)
}

/// A ring in a file that this process alone changes.
struct Rotation {
    file: SecretFile,
    ring: RingText,
}

impl Rotation {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = SecretFile::lock(path).map_err(explain)?;
        let ring = parse(file.secret(), path)?;
        if file.is_open_to_others() {
            let path = shown(file.path());
            print_notice(&format!("warning: others on this machine can read the keys, run `chmod 600 {path}`"));
        }
        Ok(Self { file, ring })
    }

    fn step(&mut self) -> Result<RotationStep, Failure> {
        let (step, next) = rotated(&self.ring, self.file.path())?;
        self.file.replace(next.to_secret()).map_err(explain)?;
        print_line(&format!("{}: {}", shown(self.file.path()), told::done(step, &self.ring, &next)));
        self.ring = next;
        Ok(step)
    }

    /// Every step that is left. Of a rotation that was begun, nobody knows here when that was, so it waits first.
    async fn finish(&mut self, wait: Duration) -> Result<(), Failure> {
        loop {
            let step = next_step(&self.ring, self.file.path())?;
            if step != RotationStep::Add {
                self.wait(step, wait).await;
            }
            if self.step()? == RotationStep::Remove {
                return Ok(());
            }
        }
    }

    async fn wait(&self, step: RotationStep, wait: Duration) {
        let bar = progress();
        let due = Instant::now() + wait;
        while Instant::now() < due {
            let left = due - Instant::now();
            bar.set_message(format!("step {} of {} in {} s", step.number(), RotationStep::COUNT, left.as_secs() + 1));
            bar.tick();
            sleep(left.min(Duration::from_secs(1))).await;
        }
        bar.finish_and_clear();
    }

    /// After the last step nothing is next: a new rotation is a new decision.
    fn tell_next(&self) {
        if let Some(next) = self.next() {
            print_line(&format!("next: {next}"));
        }
    }

    fn next(&self) -> Option<String> {
        if self.ring.next_step().ok()? == RotationStep::Add {
            return None;
        }
        let next = told::next(&self.ring).ok()?;
        Some(format!("{next}: `keelson keys rotate {}`, {}", shown(self.file.path()), told::WHEN_READ))
    }

    fn interrupted(&self) -> Failure {
        let next = self.next().map_or_else(String::new, |next| format!(". Next: {next}"));
        let path = shown(self.file.path());
        Failure::interrupted().with(&format!("; {path} holds a good ring, with which services go on{next}"))
    }
}

/// On a terminal alone.
fn progress() -> ProgressBar {
    let is_terminal = io::stderr().is_terminal();
    let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}; Ctrl-C leaves a good ring") {
        bar.set_style(style);
    }
    bar
}
