//! `keelson token`: tokens for operators and scripts, and what a token says.

use std::io::{self, IsTerminal, Read};
use std::time::Duration;

use chassis::auth::{MAX_TOKEN_BYTES, Verification};
use chassis::config::FromText;
use secrecy::ExposeSecret;

use super::process::context;
use crate::cli::{Common, IssueArgs, ListenArgs, TokenArgs, TokenCommand};
use crate::failure::Failure;
use crate::output::{print_line, print_notice};
use crate::settings::{self, Mode, Settings};
use crate::wire;

/// A token that is meant for a person or a script has an end that somebody sees.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Issues or checks a token.
pub(crate) async fn run(common: &Common, args: &TokenArgs) -> Result<(), Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let settings = Settings::read(&layers, Mode::Up, &[])?;
    match &args.command {
        TokenCommand::Issue(args) => issue(&settings, args).await,
        TokenCommand::Check => check(&settings).await,
    }
}

async fn issue(settings: &Settings, args: &IssueArgs) -> Result<(), Failure> {
    let lifetime = lifetime(&args.lifetime)?;
    let issuer = wire::operators_issuer(settings, lifetime, &context(settings)).await?;
    let scopes: Vec<&str> = args.scopes.iter().map(String::as_str).collect();
    let issued = issuer.issue(&args.subject, &args.subject, &scopes);
    let token = issued.map_err(|error| Failure::usage(error.to_string()))?;
    print_line(token.expose_secret());
    Ok(())
}

fn lifetime(text: &str) -> Result<Duration, Failure> {
    let wrong =
        || Failure::usage(format!("--lifetime {text}: expected a time between 1s and 30d, such as `10m` or `1h`"));
    let lifetime = Duration::from_text(text).ok_or_else(wrong)?;
    if (Duration::from_secs(1)..=LONGEST).contains(&lifetime) { Ok(lifetime) } else { Err(wrong()) }
}

async fn check(settings: &Settings) -> Result<(), Failure> {
    let verifier = wire::operators_verifier(settings, &context(settings)).await?;
    if io::stdin().is_terminal() {
        print_notice("the token, then Enter and Ctrl-D:");
    }
    // On another thread: Ctrl-C ends the wait for input.
    let read = tokio::task::spawn_blocking(read_input).await.map_err(io::Error::other).flatten();
    let text = read.map_err(|error| Failure::usage(format!("standard input is no token: {error}")))?;
    match verifier.verify(text.trim()).await {
        Verification::Valid(claims) => {
            let shown = serde_json::to_string_pretty(&*claims).map_err(|error| Failure::failed(error.to_string()))?;
            print_line(&shown);
            Ok(())
        }
        Verification::Invalid(refusal) => Err(Failure::failed(format!("the token is not good: {refusal}"))),
        Verification::Unknown(failure) => Err(Failure::unavailable(failure.to_string())),
    }
}

/// A little more than a token may have: a mistaken file costs nothing, and is too long.
fn read_input() -> io::Result<String> {
    let limit = u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX) + 16;
    let mut text = String::new();
    io::stdin().lock().take(limit).read_to_string(&mut text)?;
    Ok(text)
}
