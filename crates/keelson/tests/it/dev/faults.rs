//! Builds that fail, and programs that end.

use super::Developer;
use super::load::Load;
use crate::system::{Answer, eventually};

/// And nobody has noticed anything until then.
async fn the_next_edit_is_handed_over(developer: &Developer, load: Load) {
    developer.edit("serves second");
    developer.says("handed over in", 1).await;
    assert_eq!(developer.version().await, "second");
    let seen = load.stop().await;
    assert_eq!((seen.refused, seen.failed), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_broken_build_keeps_the_old_one_serving_and_shows_the_error() {
    let developer = Developer::start("serves first").await;
    let pid = developer.serving();
    let load = Load::start(&developer.system);
    developer.edit("sevres second");
    developer.says("the build failed; still serving the build of", 1).await;
    assert!(developer.system.stderr().contains("error: expected one of `serves` or `ends`"));
    assert_eq!((developer.serving(), developer.version().await), (pid, "first".to_owned()));

    the_next_edit_is_handed_over(&developer, load).await;
}

#[tokio::test]
async fn a_program_that_ends_before_it_is_ready_is_replaced_by_the_last_good_one() {
    let developer = Developer::start("serves first").await;
    let pid = developer.serving();
    let load = Load::start(&developer.system);
    developer.edit("ends at once");
    developer.says("ended (exit status: 3) before it was ready: starting the build of", 1).await;
    developer.says("still serving the build of", 1).await;
    assert_eq!(developer.version().await, "first");
    assert_ne!(developer.serving(), pid, "it was started again");

    the_next_edit_is_handed_over(&developer, load).await;
}

#[tokio::test]
async fn a_first_program_that_ends_or_cannot_be_built_is_waited_for() {
    let launch = super::launch(&[]);
    std::fs::write(launch.path("app/src/main.rs"), "ends at once").unwrap();
    let developer = Developer { system: launch.spawn() };
    developer.says("ended (exit status: 3) before it was ready", 1).await;
    developer.says("starting it again", 1).await;
    developer.edit("nonsense");
    developer.says("the build failed; nothing runs until it is mended", 1).await;
    developer.edit("serves now");
    let system = developer.system.listening().await;
    let developer = Developer { system };
    developer.says("ready in", 1).await;
    assert_eq!(developer.version().await, "now");
}

#[tokio::test]
async fn a_process_that_dies_is_started_again_and_nobody_is_refused_meanwhile() {
    let developer = Developer::start("serves first").await;
    let pid = developer.serving();
    developer.system.signal_to(pid, "KILL");
    developer.says("ended (signal: 9 (SIGKILL)): starting it again in 1.0 s", 1).await;
    let answer = Answer::of(developer.system.get("users", "/health")).await;
    assert_eq!(answer.status, 200, "it waited for the next process: {answer:?}");
    eventually("another process", || (developer.serving() != pid).then_some(())).await;
}
