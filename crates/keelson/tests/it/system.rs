//! The system under test: the real binary on a folder of its own, with a cleaned environment and free ports.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

/// How long anything may take; far more than it does.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Lines of the log that a failed test shows.
const SHOWN_LINES: usize = 60;

/// A token that production takes.
pub(crate) const STRONG_TOKEN: &str = "0123456789abcdef0123456789abcdef-strong";

/// What is started, on which folder and with which environment; started again it finds what was left there.
#[derive(Clone)]
pub(crate) struct Launch {
    folder: Arc<TempDir>,
    prefix: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Launch {
    /// `keelson up --json`.
    pub(crate) fn up() -> Self {
        Self::new(&["up", "--json"])
    }

    /// The binary with these arguments, all ports free ones.
    pub(crate) fn new(args: &[&str]) -> Self {
        let launch = Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            prefix: Vec::new(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: Vec::new(),
        };
        launch.env("INGEST_PORT", "0").env("ARCHIVER_PORT", "0")
    }

    /// Sets a variable; a later value replaces an earlier one.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Unsets a variable.
    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// Other arguments on the same folder.
    pub(crate) fn args(&self, args: &[&str]) -> Self {
        Self { args: args.iter().map(|&arg| arg.to_owned()).collect(), ..self.clone() }
    }

    /// Runs the binary under another program, such as `strace`.
    pub(crate) fn under(mut self, prefix: &[&str]) -> Self {
        self.prefix = prefix.iter().map(|&part| part.to_owned()).collect();
        self
    }

    /// The folder of the test. The system's own is [`Launch::data`] in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn command(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_keelson");
        let mut words = self.prefix.iter().map(String::as_str).chain([binary]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(&self.args).env_clear().envs(coverage());
        command.env("KEELSON_DATA", self.data()).envs(self.env.iter().cloned());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self) -> Output {
        self.command().output().unwrap()
    }

    /// Starts a system and waits until it says that it is ready.
    pub(crate) async fn start(&self) -> System {
        let mut system = self.spawn();
        system.wait_for_stdout("\"ready\"").await;
        if let Some(ready) = system.stdout().lines().find_map(|line| serde_json::from_str::<Value>(line).ok()) {
            system.ready = ready;
        }
        system
    }

    /// Starts a system and does not wait.
    pub(crate) fn spawn(&self) -> System {
        let (stdout, stderr) = (self.path("stdout"), self.path("stderr"));
        let mut command = self.command();
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        System { launch: self.clone(), child: command.spawn().unwrap(), ready: Value::Null, http }
    }
}

/// Children of a coverage run write their own profiles.
#[expect(clippy::disallowed_methods, reason = "tests run with what the coverage tool put into the environment")]
fn coverage() -> Option<(&'static str, std::ffi::OsString)> {
    std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file))
}

/// A running system. Dropping it kills it; after a failure its log is shown.
pub(crate) struct System {
    pub(crate) launch: Launch,
    child: Child,
    /// The JSON line of `up`.
    pub(crate) ready: Value,
    pub(crate) http: reqwest::Client,
}

impl System {
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

    async fn wait_for_stdout(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.stdout().contains(text) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended with {status} before it was ready");
            }
            assert!(begun.elapsed() < PATIENCE, "not ready within {PATIENCE:?}");
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
        let command = format!("kill -{name} {}", self.pid());
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
