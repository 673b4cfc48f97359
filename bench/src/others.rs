//! Servers of others: programs of the system, with a configuration out of `bench/peers` that is filled in here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::bench::Bench;
use crate::server::{Launch, free_port, local};
use crate::system::{find_program, pause};

/// Between two reads of lines: whoever sends them does not pay for a wake-up each time, and the load hardly notices.
const COLLECTED_EVERY: Duration = Duration::from_millis(2);
/// Of what comes meanwhile.
const COLLECTED_BYTES: usize = 256 * 1024;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Other {
    /// What it and its program are called.
    pub(crate) name: &'static str,
    /// The arguments before its configuration.
    pub(crate) words: &'static [&'static str],
    /// Its configuration in `bench/peers`.
    pub(crate) config: &'static str,
    /// What to do where it is not installed.
    pub(crate) remedy: &'static str,
}

impl Other {
    /// On the core of the servers; `None`, after saying so, where it is not installed. `blanks` are what its
    /// configuration has between at signs, besides `PORT`, `FOLDER`, and `LOG`: the file that is emptied after each
    /// slice.
    pub(crate) fn launch(&self, bench: &mut Bench, blanks: &[(&str, String)]) -> Result<Option<(Launch, SocketAddr)>> {
        let Some(program) = find_program(self.name) else {
            bench.report.skip(self.name, self.remedy);
            return Ok(None);
        };
        let (address, output) = (local(free_port()?), bench.output(self.name));
        let own = [
            ("PORT", address.port().to_string()),
            ("FOLDER", bench.logs.display().to_string()),
            ("LOG", output.display().to_string()),
        ];
        let template = bench.peers.join(self.config);
        let mut config = fs::read_to_string(&template).with_context(|| format!("{}", template.display()))?;
        for (blank, text) in own.iter().chain(blanks) {
            config = config.replace(&format!("@{blank}@"), text);
        }
        let file = bench.logs.join(self.config);
        fs::write(&file, config)?;
        let mut command = vec![program.display().to_string()];
        command.extend(self.words.iter().map(|&word| word.to_owned()));
        command.push(file.display().to_string());
        let launch = Launch {
            name: self.name.to_owned(),
            cores: bench.cores.server.to_string(),
            command,
            env: Vec::new(),
            output,
            ready: (address, "/"),
        };
        Ok(Some((launch, address)))
    }
}

/// Where a server that writes no log files may send its lines; they are written into this file. The thread waits for
/// more until the process ends.
pub(crate) fn collect_lines(output: &Path) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let mut file = OpenOptions::new().create(true).append(true).open(output)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _sender_left = collect(stream, &mut file);
        }
    });
    Ok(address)
}

fn collect(mut stream: TcpStream, file: &mut File) -> io::Result<()> {
    let mut lines = vec![0; COLLECTED_BYTES];
    loop {
        match stream.read(&mut lines)? {
            0 => return Ok(()),
            bytes => file.write_all(&lines[..bytes])?,
        }
        pause(COLLECTED_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_connection_are_written_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lines.log");
        let address = collect_lines(&file).unwrap();
        for lines in [["one\n", "two\n"], ["three\n", "four\n"]] {
            let mut stream = TcpStream::connect(address).unwrap();
            for line in lines {
                stream.write_all(line.as_bytes()).unwrap();
            }
        }
        let written = || fs::read_to_string(&file).unwrap();
        for _ in 0..1000 {
            if written().len() == "one\ntwo\nthree\nfour\n".len() {
                break;
            }
            pause(COLLECTED_EVERY);
        }
        assert_eq!(written(), "one\ntwo\nthree\nfour\n");
    }
}
