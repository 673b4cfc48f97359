//! The real thing: cargo builds the sources of this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::load::Load;
use super::{Developer, gap, with_cargo};
use crate::launch::{BINARY, Launch};
use crate::system::Answer;

const EDITS: usize = 20;
/// The first build has everything to build.
const FIRST_BUILD: Duration = Duration::from_secs(45 * 60);
const NEXT_BUILD: Duration = Duration::from_secs(10 * 60);

/// The text that the edits change, and where `GET /openapi.json` shows it.
const SOURCE: &str = "services/users/src/lib.rs";
const ABOUT: &str = "Keeps accounts;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds the workspace, minutes; `./test full` runs it"]
async fn twenty_edits_of_the_sources_refuse_no_connection_and_fail_no_request() {
    let launch = with_cargo(Launch::new(&["dev"]));
    copy_sources(&launch.path(""));
    // Beside what the tests are built in, and kept for the next time. Not the same: it would overwrite what others
    // run.
    let target = Path::new(BINARY).ancestors().nth(2).unwrap().join("dev-test");
    let launch = launch.env("CARGO_TARGET_DIR", target.to_str().unwrap());
    let source = launch.path(SOURCE);
    let text = std::fs::read_to_string(&source).unwrap();
    assert_eq!(text.matches(ABOUT).count(), 1, "{SOURCE} says something else by now");

    let waiting = Developer { system: launch.spawn() };
    says(&waiting, "ready in", 1, FIRST_BUILD).await;
    let developer = Developer { system: waiting.system.listening().await };
    let load = Load::start(&developer.system);
    for edit in 1..=EDITS {
        std::fs::write(&source, text.replace(ABOUT, &format!("Edit {edit};"))).unwrap();
        says(&developer, "handed over in", edit, NEXT_BUILD).await;
        let document = Answer::of(developer.system.get("users", "/openapi.json")).await.json();
        let about = document["info"]["description"].as_str().unwrap_or_default().to_owned();
        assert!(about.starts_with(&format!("Edit {edit};")), "{about}");
    }
    std::fs::write(&source, format!("{text}\nfn broken() {{ let x: u32 = \"\"; }}\n")).unwrap();
    says(&developer, "the build failed; still serving the build of", 1, NEXT_BUILD).await;
    assert!(developer.system.stderr().contains("error[E0308]: mismatched types"), "cargo's own words");
    let seen = load.stop().await;
    let gaps: Vec<Duration> = developer.said("handed over in").iter().map(|line| gap(line)).collect();
    println!("{EDITS} edits, {} answers, gaps {gaps:?}\n{:#?}", seen.answers, developer.said("built in"));
    assert!(seen.refused.is_empty(), "{} refused: {:#?}", seen.refused.len(), seen.refused);
    assert!(seen.failed.is_empty(), "{} of {} failed: {:#?}", seen.failed.len(), seen.answers, seen.failed);
}

async fn says(developer: &Developer, text: &str, times: usize, patience: Duration) {
    let begun = Instant::now();
    while developer.said(text).len() < times {
        assert!(begun.elapsed() < patience, "not within {patience:?}: {text}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// What git knows of the workspace, as it is now.
fn copy_sources(to: &Path) {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().into();
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
    let listed = git.output().unwrap();
    for name in String::from_utf8(listed.stdout).unwrap().lines() {
        let (from, to) = (root.join(name), to.join(name));
        if from.is_file() {
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(from, to).unwrap();
        }
    }
}
