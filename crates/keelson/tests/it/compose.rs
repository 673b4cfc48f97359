//! The compose files and `.env.example`, as far as they can be read: `scripts/containers/test_compose` runs them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::launch::Launch;

const COMPOSE_FILES: [&str; 2] = ["docker-compose.yml", "docker-compose.prod.yml"];

fn file_at_the_root(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in `${NAME}`, `${NAME:-default}` and so on.
fn variables(text: &str) -> BTreeSet<String> {
    let names = text.split("${").skip(1).map(|rest| {
        let is_of_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
        rest.chars().take_while(|letter| is_of_name(*letter)).collect()
    });
    names.collect()
}

#[test]
fn the_example_of_an_environment_ends_with_all_settings_and_sets_none() {
    let example = file_at_the_root(".env.example");
    let settings = Launch::new(&["config", "reference", "--env"]).run();
    assert_eq!(settings.status.code(), Some(0), "{settings:?}");
    let settings = String::from_utf8(settings.stdout).unwrap();
    let stale = "stale: `cargo run -- config reference --env` prints what follows the last line of equals signs";
    assert!(settings.contains("\n#RATE_LIMIT=100\n") && example.ends_with(&settings), "{stale}");
    let set: Vec<_> = example.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(set.is_empty(), "a copy of it would change what is not asked for: {set:?}");
}

#[test]
fn the_example_of_an_environment_has_every_variable_of_the_compose_files() {
    let example = file_at_the_root(".env.example");
    for name in COMPOSE_FILES {
        let variables = variables(&file_at_the_root(name));
        assert!(variables.contains("LOG_LEVEL"), "{name}: {variables:?}");
        let missing: Vec<_> = variables.iter().filter(|it| !example.contains(&format!("\n#{it}="))).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

/// Of the development system, for everybody to read.
fn development_secret(name: &str) -> String {
    let compose = file_at_the_root("docker-compose.yml");
    let value = compose.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_else(|| panic!("docker-compose.yml has no {name}")).to_owned()
}

#[test]
fn production_starts_with_no_secret_of_the_development_system() {
    for (name, service) in [("API_TOKEN", "ingest"), ("JWT_SECRET_KEY", "users"), ("ENCRYPTION_KEY", "analytics")] {
        let secret = development_secret(name);
        let launch = Launch::new(&["serve", service]).env("PRODUCTION", "true").env(name, &secret).run();
        let text = String::from_utf8(launch.stderr).unwrap();
        assert_eq!(launch.status.code(), Some(64), "{text}");
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
        assert!(line.contains("stands in public documents") && !text.contains(&secret), "{text}");
    }
}
