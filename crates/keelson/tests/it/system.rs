//! A running system, and what tests ask of it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::launch::Launch;

/// How long anything may take; far more than it does.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Lines of the log that a failed test shows.
const SHOWN_LINES: usize = 60;

/// A running system. Dropping it kills it; after a failure its log is shown.
pub(crate) struct System {
    pub(crate) launch: Launch,
    child: Child,
    /// The JSON line of `up`.
    pub(crate) ready: Value,
    pub(crate) http: reqwest::Client,
}

impl System {
    /// A process that was just started.
    pub(crate) fn new(launch: Launch, child: Child) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { launch, child, ready: Value::Null, http }
    }

    /// A fresh `up` with the defaults.
    pub(crate) async fn up() -> Self {
        Launch::up().start().await
    }

    /// A fresh `up` with some settings.
    pub(crate) async fn up_with(env: &[(&str, &str)]) -> Self {
        env.iter().fold(Launch::up(), |launch, (name, value)| launch.env(name, value)).start().await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.launch.data()
    }

    /// Everything on standard output so far.
    pub(crate) fn stdout(&self) -> String {
        read_text(&self.launch.path("stdout"))
    }

    /// Everything on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        read_text(&self.launch.path("stderr"))
    }

    /// Waits until it says that it is ready, in a whole line.
    pub(crate) async fn ready(mut self) -> Self {
        let begun = Instant::now();
        while !self.stdout().rsplit_once('\n').is_some_and(|(lines, _)| lines.contains("ready")) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended with {status} before it was ready");
            }
            assert!(begun.elapsed() < PATIENCE, "not ready within {PATIENCE:?}");
            sleep(LOOK_INTERVAL).await;
        }
        let lines: Vec<Value> = self.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let ready = lines.iter().find(|line| line["ready"] == true).cloned();
        self.ready = ready.unwrap_or_else(|| json!({ "services": addresses(&lines) }));
        self
    }

    /// Waits until it can be found, ready or not: the run file is written when the ports are taken.
    pub(crate) async fn listening(mut self) -> Self {
        let begun = Instant::now();
        loop {
            let run = fs::read(self.data().join("run.json")).ok();
            if let Some(run) = run.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                self.ready = run;
                return self;
            }
            assert!(begun.elapsed() < PATIENCE, "not listening within {PATIENCE:?}");
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// The address of a service by its short name.
    pub(crate) fn url(&self, service: &str) -> String {
        let url = self.ready["services"][service].as_str();
        url.unwrap_or_else(|| panic!("{service} is not among {}", self.ready)).to_owned()
    }

    /// The address without `http://`.
    pub(crate) fn address(&self, service: &str) -> String {
        self.url(service).trim_start_matches("http://").to_owned()
    }

    pub(crate) fn get(&self, service: &str, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.url(service)))
    }

    pub(crate) fn post(&self, service: &str, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url(service)))
    }

    /// A request to `/ops/v1` of the archiver, as the operator.
    pub(crate) fn ops(&self, method: Method, path: &str) -> RequestBuilder {
        let run: Value = serde_json::from_slice(&fs::read(self.data().join("run.json")).unwrap()).unwrap();
        let url = format!("{}/ops/v1{path}", self.url("archiver"));
        self.http.request(method, url).bearer_auth(run["operator_token"].as_str().unwrap())
    }

    /// The token that the system generated.
    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.data().join("secrets/api_token")).unwrap().trim().to_owned()
    }

    /// Sends `data` to `/api/message` and answers its id.
    pub(crate) async fn send(&self, data: &Value) -> String {
        let body = json!({ "data": data, "token": self.token() });
        let answer = Answer::of(self.post("ingest", "/api/message").json(&body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["message_id"].as_str().unwrap().to_owned()
    }

    /// The files under `objects`, with their keys.
    pub(crate) fn objects(&self) -> Vec<(String, PathBuf)> {
        let root = self.data().join("objects");
        let mut found: Vec<_> = files(&root.join("messages"))
            .into_iter()
            .map(|path| (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), path))
            .collect();
        found.sort();
        found
    }

    /// The text of the stored object, once it is there.
    pub(crate) async fn object(&self, id: &str) -> String {
        let name = format!("/{id}.json");
        let find = || self.objects().into_iter().find(|(key, _)| key.ends_with(&name));
        let (_, path) = eventually(&format!("message {id} is stored"), find).await;
        fs::read_to_string(path).unwrap()
    }

    /// Messages by state, as `/ops/v1/queue` counts them.
    pub(crate) async fn queue(&self) -> Value {
        Answer::of(self.ops(Method::GET, "/queue")).await.json()
    }

    /// Waits until the queue is empty.
    pub(crate) async fn drained(&self) -> Value {
        let begun = Instant::now();
        loop {
            let queue = self.queue().await;
            if ["visible", "in_flight", "delayed"].iter().all(|state| queue[state] == 0) {
                return queue;
            }
            assert!(begun.elapsed() < PATIENCE, "still in the queue: {queue}");
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        self.signal_to(self.pid(), name);
    }

    /// The same to a process that it started.
    pub(crate) fn signal_to(&self, pid: u32, name: &str) {
        let command = format!("kill -{name} {pid}");
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE + Duration::from_secs(10), "the process does not end");
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// SIGTERM, and what came of it.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// SIGKILL: no chance to tidy up.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        assert!(self.child.wait().unwrap().signal().is_some(), "it ended by itself");
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for (name, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                let lines: Vec<_> = text.lines().collect();
                let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
                eprintln!("--- the end of {name} ---\n{}", last.join("\n"));
            }
        }
    }
}

fn short(name: &str) -> String {
    let short = match name {
        "user-service" => "users",
        "order-service" => "orders",
        "analytics-service" => "analytics",
        other => other,
    };
    short.to_owned()
}

/// Where services listen, by their lines in a production log: `ingest`, `ingest-internal` and so on, under the names of
/// the command line.
fn addresses(lines: &[Value]) -> Value {
    let mut addresses = serde_json::Map::new();
    for line in lines {
        let message = line["message"].as_str().unwrap_or_default();
        if let Some((name, url)) = message.split_once(" listens on ") {
            addresses.insert(short(name), url.into());
        } else if let Some((name, url)) = message.split_once(" listens for operators on ") {
            addresses.insert(format!("{}-internal", short(name)), url.into());
        }
    }
    Value::Object(addresses)
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.unwrap()
    }

    pub(crate) async fn try_of(request: RequestBuilder) -> reqwest::Result<Self> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Self { status, headers, text: answer.text().await? })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// How long the server worked on it, as it says itself. What a test waits for beside that is the machine's affair.
    pub(crate) fn process_time(&self) -> Duration {
        Duration::from_secs_f64(self.header("x-process-time").parse().unwrap_or_else(|_| panic!("no time: {self:?}")))
    }
}

/// Sends bytes that no client library would, and reads whatever comes.
pub(crate) fn send_raw(system: &System, service: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(system.address(service)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // A server that refuses early may close before it has read all.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Waits until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(LOOK_INTERVAL).await;
    }
}

/// A message with all four fields; `subject` tells it from others.
pub(crate) fn email(subject: &str) -> Value {
    json!({
        "email_subject": subject,
        "email_sender": "John Doe",
        "email_timestream": "1693561101",
        "email_content": "Just want to say... Happy new year!!!",
    })
}

/// Every file below a folder; those that vanish meanwhile are passed over.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn read_text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
