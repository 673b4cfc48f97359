//! What cannot be run, and what is said of it.

use super::{launch, with_cargo};
use crate::launch::Launch;

fn refused(launch: &Launch, code: i32) -> String {
    let output = launch.run();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn production_is_refused() {
    let secrets = [("API_TOKEN", crate::launch::STRONG_TOKEN), ("JWT_SECRET_KEY", crate::launch::STRONG_TOKEN)];
    let production =
        secrets.iter().fold(launch(&[]).env("PRODUCTION", "true"), |it, (name, value)| it.env(name, value));
    let text = refused(&production, 64);
    assert!(text.contains("PRODUCTION=true: expected false") && text.contains("keelson serve"), "{text}");
}

#[test]
fn it_needs_a_workspace_with_the_package_and_cargo() {
    let nowhere = with_cargo(Launch::new(&["dev"]));
    let text = refused(&nowhere, 64);
    assert!(text.contains("cargo workspace") && text.contains("Cargo.toml"), "{text}");

    let text = refused(&launch(&[]).args(&["dev"]), 64);
    assert!(text.contains("no package `keelson`") && text.contains("--build"), "{text}");

    let text = refused(&launch(&[]).env("PATH", "/nonexistent"), 69);
    assert!(text.contains("none in PATH") && text.contains("rustup.rs") && text.contains("keelson up"), "{text}");
}

#[test]
fn wrong_flags_and_a_taken_port_are_said_before_anything_is_built() {
    for args in
        [&["dev", "--build", "make"][..], &["dev", "--poll", "soon"], &["dev", "--poll", "0s"], &["dev", "frob"]]
    {
        refused(&launch(&[]).args(args), 64);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let text = refused(&launch(&[]).env("USERS_PORT", &port), 69);
    assert!(text.contains(&format!("port {port} is taken")) && text.contains("USERS_PORT"), "{text}");
    assert!(!text.contains("built in"), "{text}");
}
