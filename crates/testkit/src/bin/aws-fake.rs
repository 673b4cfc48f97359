//! The fake of AWS as a process, for benchmarks and scripts. It prints its URL, and runs until it is stopped.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use testkit::aws::{Fake, Settings};

/// A scripted fake of SQS, S3, Parameter Store, Secrets Manager and STS on 127.0.0.1.
#[derive(Parser)]
struct Arguments {
    /// The port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Seeds message ids and faults with a probability.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A queue to begin with; several times for several. Each has a dead-letter queue NAME-dlq.
    #[arg(long)]
    queue: Vec<String>,
    /// A bucket to begin with; several times for several.
    #[arg(long)]
    bucket: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = Settings { seed: arguments.seed, ..Settings::default() };
    match Fake::bind(arguments.port, settings).await {
        Ok(fake) => run(&fake, &arguments).await,
        Err(error) => {
            let _written = writeln!(std::io::stderr(), "cannot listen on port {}: {error}", arguments.port);
            ExitCode::FAILURE
        }
    }
}

async fn run(fake: &Fake, arguments: &Arguments) -> ExitCode {
    for queue in &arguments.queue {
        fake.create_queue_with_dead_letters(queue, 30, 5);
    }
    for bucket in &arguments.bucket {
        fake.create_bucket(bucket);
    }
    // Whoever started it reads this line, or does not care.
    let _written = writeln!(std::io::stdout(), "{}", fake.url());
    let _signal = tokio::signal::ctrl_c().await;
    ExitCode::SUCCESS
}
