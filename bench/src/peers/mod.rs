//! The servers and loops that the product is compared with. Each does at most the work of its counterpart.

mod answer;
pub(crate) mod aws;
mod bare;
mod crew;
mod files;
mod hashes;
mod limited;
mod puts;
mod row_commits;
mod telemetry;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Subcommand;

pub(crate) use answer::{Answer, capture};
use row_commits::Rows;

#[derive(Debug, Subcommand)]
pub(crate) enum Peer {
    /// hyper and nothing else, with one answer to everything
    Bare {
        #[arg(long)]
        port: u16,
        /// The answer, as JSON
        #[arg(long)]
        answer: PathBuf,
        /// Ids, metrics and access log of the chassis around it
        #[arg(long)]
        telemetry: bool,
    },
    /// Takes messages like ingest, with one commit for each
    RowCommits {
        #[arg(long)]
        port: u16,
        /// The database
        #[arg(long)]
        file: PathBuf,
        /// Events instead, like analytics
        #[arg(long)]
        events: bool,
    },
    /// A chassis service whose handler waits for one of a few places
    Limited {
        #[arg(long)]
        port: u16,
    },
    /// The fake of AWS
    Aws {
        #[arg(long)]
        port: u16,
    },
    /// Puts objects into the bucket of the fake
    Puts {
        #[arg(long)]
        endpoint: String,
        #[arg(long)]
        writers: usize,
        /// Of one object
        #[arg(long)]
        bytes: usize,
    },
    /// Hashes passwords
    Hashes {
        #[arg(long)]
        threads: usize,
        #[arg(long)]
        seconds: f64,
    },
    /// Creates files and fsyncs them
    Files {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        writers: usize,
        /// Of one file
        #[arg(long)]
        bytes: usize,
        #[arg(long)]
        seconds: f64,
        /// Under a temporary name first, as the product does it
        #[arg(long)]
        linked: bool,
    },
}

/// Runs until it is ended.
pub(crate) fn run(peer: Peer) -> Result<()> {
    match peer {
        Peer::Files { folder, writers, bytes, seconds, linked } => {
            files::run(&folder, writers, bytes, Duration::from_secs_f64(seconds), linked)
        }
        Peer::Hashes { threads, seconds } => hashes::run(threads, Duration::from_secs_f64(seconds)),
        Peer::Bare { port, answer, telemetry: false } => runtime()?.block_on(bare::serve(port, Answer::read(&answer)?)),
        Peer::Bare { port, answer, telemetry: true } => {
            runtime()?.block_on(telemetry::serve(port, Answer::read(&answer)?))
        }
        Peer::RowCommits { port, file, events } => {
            let rows = if events { Rows::Events } else { Rows::Messages };
            runtime()?.block_on(row_commits::serve(port, &file, rows))
        }
        Peer::Limited { port } => runtime()?.block_on(limited::serve(port)),
        Peer::Aws { port } => runtime()?.block_on(aws::serve(port)),
        Peer::Puts { endpoint, writers, bytes } => runtime()?.block_on(puts::run(&endpoint, writers, bytes)),
    }
}

/// The flavour that the product uses: as many workers as the process has cores, so one when it is pinned.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")
}
