//! A worker as the one who measures holds it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::{Outcome, worker};

/// A queue that is open in a process of its own, which ends with this.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What a command did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) messages: f64,
    pub(crate) seconds: f64,
}

impl Done {
    pub(crate) fn per_second(self) -> f64 {
        self.messages / self.seconds
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self { messages: self.messages + other.messages, seconds: self.seconds + other.seconds }
    }
}

impl Side {
    /// Opens the queue.
    pub(crate) fn start(name: &'static str, url: &str) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([worker::COMMAND, url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take().ok_or("no standard output")?);
        let mut side = Self { name, child, input, output: BufReader::new(output) };
        match side.line()?.as_str() {
            worker::READY => Ok(side),
            other => Err(format!("{name} does not begin: {other}").into()),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends, and fails where not all of it was taken.
    pub(crate) fn send(&mut self, callers: usize, batch: usize, messages: usize) -> Outcome<Done> {
        self.all_of(&format!("send {callers} {batch} {messages}"), messages)
    }

    /// Receives and deletes, and fails where there were not as many.
    pub(crate) fn work(&mut self, callers: usize, messages: usize) -> Outcome<Done> {
        self.all_of(&format!("work {callers} {messages}"), messages)
    }

    fn all_of(&mut self, command: &str, messages: usize) -> Outcome<Done> {
        let done = self.tell(command)?;
        if done.messages < messages as f64 {
            return Err(format!("{}: `{command}` did {} only", self.name, done.messages).into());
        }
        Ok(done)
    }

    pub(crate) fn tell(&mut self, command: &str) -> Outcome<Done> {
        writeln!(self.input.as_ref().ok_or("the worker has ended")?, "{command}")?;
        let line = self.line()?;
        let (messages, seconds) = line.split_once(' ').ok_or(format!("`{command}` failed: {line}"))?;
        Ok(Done { messages: messages.parse()?, seconds: seconds.parse()? })
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.input = None;
        let _ended = self.child.wait();
    }
}
