//! `keelson keys`: rings that are made, listed and rotated.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use chassis::envelope::{KeyRing, RingText};
use serde_json::{Map, Value, json};

use crate::launch::Launch;
use crate::system::eventually;

/// The bytes 00 to 1f, whose derived id is `_tWxBOknfQvrwlG8ilO74g`.
pub(crate) const RANDOM_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What a command ended with and printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `keelson keys` with a text on standard input.
pub(crate) fn keys(launch: &Launch, args: &[&str], input: &str) -> Done {
    let mut command = launch.args(&[&["keys"], args].concat()).command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What one prints that succeeds and has nothing to warn of.
pub(crate) fn done(launch: &Launch, args: &[&str]) -> String {
    let done = keys(launch, args, "");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{args:?}: {done:?}");
    done.stdout
}

/// What one says that fails.
pub(crate) fn refused(launch: &Launch, args: &[&str], code: i32) -> String {
    let done = keys(launch, args, "");
    assert_eq!((done.code, done.stdout.as_str()), (Some(code), ""), "{args:?}: {done:?}");
    done.stderr
}

pub(crate) fn ids(text: &str) -> Vec<String> {
    let ring = RingText::parse(&text.trim_end().into()).unwrap_or_else(|error| panic!("{error}"));
    ring.ids().map(str::to_owned).collect()
}

fn ids_in(path: &Path) -> Vec<String> {
    ids(&fs::read_to_string(path).unwrap())
}

/// The keys of a ring, which nothing but a ring may have in it.
fn secrets(text: &str) -> Vec<String> {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(members) => members.values().map(|key| key.as_str().unwrap().trim_end_matches('=').to_owned()).collect(),
        Err(_) => vec![text.trim_end().trim_end_matches('=').to_owned()],
    }
}

fn assert_hidden(shown: &str, rings: &[String]) {
    for secret in rings.iter().flat_map(|ring| secrets(ring)) {
        assert!(!shown.contains(&secret), "a key is shown: {shown}");
    }
}

/// A folder with a ring of one key in the place where the embedded system has its own.
pub(crate) fn with_ring(text: &str) -> (Launch, PathBuf) {
    let launch = Launch::new(&[]);
    fs::create_dir_all(launch.data().join("secrets")).unwrap();
    let path = launch.data().join("secrets/encryption_key");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    (launch, path)
}

fn dated(id: &str) -> bool {
    id.len() == "k-20261122T170500Z".len() && id.starts_with("k-20") && id.ends_with('Z')
}

#[test]
fn a_new_ring_has_one_dated_key_that_production_takes() {
    let launch = Launch::new(&[]);
    let (first, second) = (done(&launch, &["generate"]), done(&launch, &["generate"]));
    assert_ne!(secrets(&first), secrets(&second));
    for text in [&first, &second] {
        let ring = KeyRing::parse(&text.trim_end().into()).unwrap();
        ring.check_random().unwrap();
        assert_eq!(ring.check_secrets(), None);
        assert!(dated(ring.key_id()), "{}", ring.key_id());
    }
    assert_eq!(ids(&done(&launch, &["generate", "--id", "2026-07"])), ["2026-07"]);
    let bare = done(&launch, &["generate", "--bare"]);
    assert_eq!((bare.len(), bare.lines().count()), (45, 1), "32 bytes in base64 and a line break");
    KeyRing::parse(&bare.trim_end().into()).unwrap().check_random().unwrap();

    for id in ["", "two words", &"k".repeat(33)] {
        let text = refused(&launch, &["generate", "--id", id], 64);
        assert!(text.contains("--id") && text.contains("1 to 32 letters"), "{text}");
    }
    refused(&launch, &["generate", "--id", "k1", "--bare"], 64);
}

#[test]
fn three_rotations_replace_the_key_and_show_none() {
    let (launch, path) = with_ring(&done(&Launch::new(&[]), &["generate", "--id", "first"]));
    let mut rings = vec![fs::read_to_string(&path).unwrap()];
    let mut shown = done(&launch, &["list"]);
    assert!(shown.contains("encryption_key (generated)") && shown.contains("next: step 1 of 3 adds a key"), "{shown}");
    let mut last = String::new();
    for expected in ["step 1 of 3: k-20", "step 2 of 3: k-20", "step 3 of 3: first is gone; k-20"] {
        last = done(&launch, &["rotate"]);
        assert!(last.starts_with(&format!("{}: {expected}", path.display())), "{last}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        rings.push(fs::read_to_string(&path).unwrap());
        shown.push_str(&last);
        shown.push_str(&done(&launch, &["list"]));
        shown.push_str(&done(&launch, &["list", "--json"]));
    }
    assert!(last.ends_with("the rotation is complete\n") && !last.contains("next:"), "{last}");
    let stages: Vec<_> = rings.iter().map(|ring| ids(ring)).collect();
    let new = stages[3][0].as_str();
    assert!(dated(new), "{new}");
    assert_eq!(stages, [vec!["first"], vec!["first", new], vec![new, "first"], vec![new]]);
    assert_ne!(secrets(&rings[0]), secrets(&rings[3]));
    assert_hidden(&shown, &rings);
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["encryption_key"]);
}

#[test]
fn each_step_says_when_the_next_may_be() {
    let (launch, path) = with_ring(RANDOM_KEY);
    for next in ["next: step 2 of 3 lets k-20", "next: step 3 of 3 takes _tWxBOknfQvrwlG8ilO74g out, and k-20"] {
        let text = done(&launch, &["rotate"]);
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with(next) && line.contains("within 5 s") && line.contains("within 5 minutes"), "{text}");
        assert!(line.contains(&format!("`keelson keys rotate {}`", path.display())), "{text}");
    }
}

#[test]
fn a_list_says_what_each_key_is_for() {
    let launch = Launch::new(&[]);
    assert!(done(&launch, &["list"]).starts_with("no keys: "));
    assert_eq!(done(&launch, &["list", "--json"]), "{\"rings\":[]}\n");
    let ring = format!("{{\"k-20261122T170500Z\": \"{RANDOM_KEY}\", \"text\": \"test-main-key\"}}");
    let expected = "standard input\n\
                    KEY                 USE                   KIND\n\
                    k-20261122T170500Z  encrypts, decrypts    random: v2, GCM, Fernet\n\
                    text                decrypts              text: GCM, Fernet\n\
                    next: step 3 of 3 takes text out, and k-20261122T170500Z stays\n";
    let listed = keys(&launch, &["list", "-"], &ring);
    assert_eq!((listed.stdout.as_str(), listed.stderr.as_str(), listed.code), (expected, "", Some(0)));

    fs::write(launch.path("ring"), format!("{{\"a\": \"test-main-key\", \"b\": \"{RANDOM_KEY}\"}}")).unwrap();
    let listed: Value = serde_json::from_str(&done(&launch, &["list", "ring", "--json"])).unwrap();
    let problem = listed["rings"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("if b is newer, put it first"), "{problem}");
    let keys = json!([
        { "id": "a", "encrypts": true, "decrypts": true, "kind": "text" },
        { "id": "b", "encrypts": false, "decrypts": true, "kind": "random" },
    ]);
    assert_eq!((&listed["rings"][0]["keys"], &listed["rings"][0]["next_step"]), (&keys, &Value::Null));
}

#[test]
fn a_ring_that_is_elsewhere_is_rotated_through_a_pipe() {
    let launch = Launch::new(&[]);
    let mut rings = vec![RANDOM_KEY.to_owned()];
    for step in 1..=3 {
        let ring = keys(&launch, &["rotate", "-"], rings.last().unwrap());
        assert_eq!(ring.code, Some(0), "{ring:?}");
        assert!(ring.stderr.starts_with(&format!("step {step} of 3: ")), "{ring:?}");
        assert_eq!(ring.stderr.contains("next: "), step < 3, "{ring:?}");
        rings.push(ring.stdout);
        assert_hidden(&ring.stderr, &rings);
    }
    let stages: Vec<_> = rings.iter().map(|ring| ids(ring)).collect();
    let (old, new) = ("_tWxBOknfQvrwlG8ilO74g", stages[3][0].as_str());
    assert_eq!(stages, [vec![old], vec![old, new], vec![new, old], vec![new]]);
    for input in ["", "\n", "{}", "{\"k1\": \"secret-of-a-test\"", &"x".repeat(70_000)] {
        let refused = keys(&launch, &["rotate", "-"], input);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(64), ""), "{refused:?}");
        assert!(refused.stderr.contains("standard input") && !refused.stderr.contains("of-a-test"), "{refused:?}");
    }
}

#[test]
fn a_ring_that_is_only_printed_is_left_as_it_is() {
    let (launch, path) = with_ring(RANDOM_KEY);
    let printed = keys(&launch, &["rotate", "--print"], "");
    assert_eq!((printed.code, ids(&printed.stdout).len()), (Some(0), 2), "{printed:?}");
    assert_hidden(&printed.stderr, std::slice::from_ref(&printed.stdout));
    assert_eq!(fs::read_to_string(path).unwrap(), RANDOM_KEY);
}

#[tokio::test]
async fn with_a_pause_every_step_is_done_and_readers_see_whole_rings() {
    let (launch, path) = with_ring(RANDOM_KEY);
    let (begun, rotating) = (Instant::now(), launch.clone());
    let rotation = tokio::task::spawn_blocking(move || keys(&rotating, &["rotate", "--wait", "1s"], ""));
    let mut seen = BTreeSet::new();
    // As services do it, often enough to see every stage.
    while !rotation.is_finished() {
        seen.insert(ids_in(&path));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen.insert(ids_in(&path));
    let rotation = rotation.await.unwrap();
    assert_eq!(rotation.code, Some(0), "{rotation:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "two pauses took {:?}", begun.elapsed());
    assert_eq!(rotation.stdout.lines().count(), 3, "{rotation:?}");
    assert!(rotation.stderr.starts_with("warning: with a pause of 1s, services that have not read"), "{rotation:?}");
    assert_eq!(rotation.stderr.lines().count(), 1, "progress in a pipe: {rotation:?}");
    let (old, new) = ("_tWxBOknfQvrwlG8ilO74g", ids_in(&path).remove(0));
    let stages = [vec![old, &new], vec![&new, old], vec![&new]].map(|ids| ids.into_iter().map(str::to_owned).collect());
    for stage in stages {
        assert!(seen.contains::<Vec<String>>(&stage), "no service could see {stage:?}: {seen:?}");
    }
}

#[tokio::test]
async fn an_interrupt_leaves_a_good_ring_and_says_what_is_next() {
    let (launch, path) = with_ring(RANDOM_KEY);
    let mut rotation = launch.args(&["keys", "rotate", "--wait", "30s"]).spawn();
    eventually("the first step", || (ids_in(&path).len() == 2).then_some(())).await;
    let added = fs::read_to_string(&path).unwrap();
    // A second rotation would be a step too early.
    let text = refused(&launch, &["rotate"], 69);
    assert!(text.contains("another process is changing"), "{text}");
    rotation.signal("INT");
    assert_eq!(rotation.ended().await.code(), Some(130));
    let errors = rotation.stderr();
    assert!(errors.contains("interrupted; ") && errors.contains("Next: step 2 of 3 lets k-20"), "{errors}");
    assert_eq!(fs::read_to_string(&path).unwrap(), added);
    assert_hidden(&errors, &[added]);
    let text = done(&launch, &["rotate"]);
    assert!(text.contains("step 2 of 3: k-20"), "{text}");
}

/// Each waits for nobody: those that find another at work are refused.
#[test]
fn of_rotations_at_once_each_does_a_whole_step_or_none() {
    for _ in 0..5 {
        let (launch, path) = with_ring(RANDOM_KEY);
        let all: Vec<Done> = thread::scope(|scope| {
            let running: Vec<_> = (0..8).map(|_| scope.spawn(|| keys(&launch, &["rotate"], ""))).collect();
            running.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let (good, other): (Vec<_>, Vec<_>) = all.iter().partition(|done| done.code == Some(0));
        assert!(!good.is_empty(), "nobody got the lock: {all:#?}");
        let is_refused = |done: &&&Done| done.code == Some(69) && done.stderr.contains("another process is changing");
        assert_eq!(other.iter().filter(is_refused).count(), other.len(), "{all:#?}");
        // What each said it did is one rotation after another, and the ring is what the last one left.
        let mut steps: Vec<_> = good.iter().map(|done| done.stdout.split(" of 3").next().unwrap().to_owned()).collect();
        steps.sort_unstable();
        let mut expected: Vec<_> =
            (0..good.len()).map(|it| format!("{}: step {}", path.display(), it % 3 + 1)).collect();
        expected.sort_unstable();
        assert_eq!(steps, expected, "{all:#?}");
        assert_eq!(ids_in(&path).len(), if good.len() % 3 == 0 { 1 } else { 2 });
    }
}
