//! `keelson keys`: makes, lists and rotates the keys of encrypted calls. What a ring is and what its steps are is said
//! in `chassis::envelope`; which settings hold rings in `rings`.

mod list;
mod rings;
mod rotate;
mod told;

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use backends::local::random_bytes;
use chassis::clock::{Clock, SystemClock};
use chassis::envelope::{RingText, random_key};
use chassis::ports::secrets::{MAX_SECRET_BYTES, into_secret};
use secrecy::{ExposeSecret, SecretString};

use super::interruptible;
use crate::cli::{Common, GenerateArgs, KeysArgs, KeysCommand};
use crate::failure::Failure;
use crate::output::{print_line, print_notice};

/// Generates, lists or rotates. A rotation that waits says where Ctrl-C leaves it.
pub(crate) async fn run(common: &Common, args: &KeysArgs) -> Result<(), Failure> {
    match &args.command {
        KeysCommand::Generate(args) => generate(args),
        KeysCommand::List(args) => interruptible(list::run(common, args)).await,
        KeysCommand::Rotate(args) => rotate::run(common, args).await,
    }
}

fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    let random = random_bytes()?;
    let key = if args.bare {
        random_key(&random)
    } else {
        let id = args.id.clone().unwrap_or_else(|| RingText::dated_id(SystemClock.now()));
        let ring = RingText::generate(&id, &random).map_err(|error| Failure::usage(format!("--id: {error}")))?;
        ring.to_secret()
    };
    print_secret(&key);
    Ok(())
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Prints a ring for the next program; on a terminal it stays in what was scrolled away.
fn print_secret(secret: &SecretString) {
    print_line(secret.expose_secret());
    if io::stdout().is_terminal() {
        print_notice("this is a secret: send it to a file that is yours alone, or to where secrets are kept");
    }
}

/// The ring on standard input.
async fn read_stdin() -> Result<RingText, Failure> {
    if io::stdin().is_terminal() {
        print_notice("the ring, then Enter and Ctrl-D:");
    }
    // On another thread: Ctrl-C ends the wait for input.
    let read = tokio::task::spawn_blocking(read_input).await.map_err(io::Error::other).flatten();
    let bytes = read.map_err(|error| Failure::unavailable(format!("standard input cannot be read: {error}")))?;
    let text = into_secret("standard input", bytes).map_err(|error| Failure::usage(error.to_string()))?;
    RingText::parse(&text).map_err(|error| Failure::usage(format!("standard input: {error}")))
}

/// A little more than a ring may have: a mistaken file costs nothing, and is too long.
fn read_input() -> io::Result<Vec<u8>> {
    let limit = u64::try_from(MAX_SECRET_BYTES).unwrap_or(u64::MAX) + 1;
    let mut bytes = Vec::new();
    io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
