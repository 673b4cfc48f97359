//! Sockets that somebody else has bound, such as systemd for a `.socket` unit (sd_listen_fds(3)), and who is told that
//! the services are ready (sd_notify(3)).

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};

use crate::launch::Launch;
use crate::production::serve;
use crate::system::System;

const GET: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn bound() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// The command, with these files from number 3 on.
fn handed(launch: &Launch, names: &str, files: Vec<OwnedFd>) -> Command {
    let mut command = launch.command();
    command.env("LISTEN_FDS", files.len().to_string()).env("LISTEN_FDNAMES", names);
    let mapping = |(parent_fd, child_fd)| FdMapping { parent_fd, child_fd };
    command.fd_mappings(files.into_iter().zip(3..).map(mapping).collect()).unwrap();
    command
}

fn start(launch: &Launch, mut command: Command) -> System {
    command.stdout(File::create(launch.path("stdout")).unwrap()).stderr(File::create(launch.path("stderr")).unwrap());
    System::new(launch.clone(), command.spawn().unwrap())
}

fn answer(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn services_take_the_sockets_of_their_names_and_leave_who_waits_to_the_next_process() {
    let launch = serve(&["ingest", "archiver"]);
    let ((ingest, at), (internal, internal_at)) = (bound(), bound());
    let files = || vec![internal.try_clone().unwrap().into(), ingest.try_clone().unwrap().into()];
    let command = handed(&launch, "ingest-internal:ingest", files());
    let mut system = start(&launch, command).ready().await;
    assert_eq!(system.url("ingest"), format!("http://{at}"));
    assert_eq!(system.url("ingest-internal"), format!("http://{internal_at}"));
    assert_ne!(system.url("archiver"), system.url("ingest"), "what was not handed over is bound");
    assert_eq!(system.stop().await.code(), Some(0));
    drop(system);

    let mut waits = TcpStream::connect(at).unwrap();
    waits.write_all(GET).unwrap();
    let _next = start(&launch, handed(&launch, "ingest-internal:ingest", files())).ready().await;
    assert!(answer(waits).starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn what_cannot_be_used_is_refused_with_what_was_expected() {
    let launch = Launch::up();
    let socket = || OwnedFd::from(bound().0);
    let run = |names: &str, files| -> Output { handed(&launch, names, files).output().unwrap() };
    let file = || OwnedFd::from(File::open("/dev/null").unwrap());
    let datagrams = || OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap());
    for (names, files, found, expected) in [
        ("frontend", vec![socket()], "`frontend`", "expected gateway, users, orders"),
        ("users", vec![file()], "not a socket", "ListenStream=ADDRESS:PORT"),
        ("users", vec![datagrams()], "not a valid tcp socket", "ListenStream=ADDRESS:PORT"),
        ("users", vec![socket(), socket()], "LISTEN_FDS=2 and LISTEN_FDNAMES=users", "FileDescriptorName=users"),
        ("users:users", vec![socket(), socket()], "`users` twice", "one socket for each service"),
        ("", vec![socket()], "LISTEN_FDS=1", "FileDescriptorName=users"),
    ] {
        let output = run(names, files);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{names}: {text}");
        assert!(text.contains(found) && text.contains(expected), "{names}: {text}");
    }
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let output = run("users", vec![everywhere.into()]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("which other machines reach") && text.contains("KEELSON_HOST=127.0.0.1"), "{text}");
}

#[tokio::test]
async fn sockets_that_are_for_another_process_are_left_alone() {
    let launch = Launch::up();
    let (socket, at) = bound();
    let mut command = handed(&launch, "users", vec![socket.into()]);
    command.env("LISTEN_PID", "1");
    let system = start(&launch, command).ready().await;
    assert_ne!(system.address("users"), at.to_string());
}

#[tokio::test]
async fn whoever_waits_is_told_when_all_services_are_ready() {
    let launch = Launch::up();
    let path = launch.path("notify");
    let told = UnixDatagram::bind(&path).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut system = launch.env("NOTIFY_SOCKET", path.to_str().unwrap()).spawn().listening().await;
    let mut text = [0; 100];
    let length = told.recv(&mut text).unwrap();
    assert_eq!(text[..length].trim_ascii(), b"READY=1");
    assert_eq!(system.stop().await.code(), Some(0));
}
