//! However it ends, nothing is left behind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{Developer, exists, runs};
use crate::system::eventually;

#[tokio::test]
async fn ctrl_c_and_sigterm_end_everything_with_0() {
    for signal in ["INT", "TERM"] {
        let mut developer = Developer::start("serves first").await;
        let (pid, address) = (developer.serving(), developer.system.address("ingest"));
        let copies = developer.system.launch.path("target/keelson-dev/1");
        assert!(exists(&copies), "a copy of the program runs");
        developer.system.signal(signal);
        assert_eq!(developer.system.ended().await.code(), Some(0), "{signal}");
        assert!(!runs(pid), "{signal}: the services go on");
        assert!(!exists(&copies) && !exists(&developer.system.data().join("run.json")), "{signal}");
        assert!(TcpStream::connect(address).is_err(), "{signal}: somebody still listens");
    }
}

#[tokio::test]
async fn a_build_in_work_does_not_hold_the_end_back() {
    let mut developer = Developer::start("serves first").await;
    let folder = developer.system.launch.path("");
    std::fs::write(folder.join("build.sh"), "sleep 60 & echo $! > sleeper; wait\n").unwrap();
    developer.edit("serves second");
    let sleeper = || std::fs::read_to_string(folder.join("sleeper")).ok()?.trim().parse::<u32>().ok();
    let sleeper = eventually("the build is in work", sleeper).await;
    assert_eq!(developer.system.stop().await.code(), Some(0));
    eventually("the build has ended", || (!runs(sleeper)).then_some(())).await;
}

#[tokio::test]
async fn a_second_ctrl_c_does_not_wait_for_requests() {
    let mut developer = Developer::start("serves first").await;
    let pid = developer.serving();
    let mut half = TcpStream::connect(developer.system.address("users")).unwrap();
    half.write_all(b"POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    developer.system.signal("INT");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(runs(pid), "a request is in work");
    developer.system.signal("INT");
    assert_eq!(developer.system.ended().await.code(), Some(0));
    assert_eq!(developer.said("stopping at once").len(), 1);
    assert!(!runs(pid));
    let _ = half.read_to_end(&mut Vec::new());
}

#[tokio::test]
async fn services_end_with_a_supervisor_that_is_killed() {
    let mut developer = Developer::start("serves first").await;
    let pid = developer.serving();
    developer.system.kill();
    eventually("the services have ended", || (!runs(pid)).then_some(())).await;
    assert!(!exists(&developer.system.data().join("run.json")), "they ended in order");
}
