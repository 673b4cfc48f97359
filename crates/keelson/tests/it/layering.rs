//! Dependencies point one way, `keelson → backends → services/* → chassis`, and only `backends` knows a driver.
//!
//! The manifests are the evidence, dev-dependencies included: a test that reaches around a port is a wrong arrow too.
//! `testkit` stands aside: any room but the chassis may test with it, none may ship with it, and it knows no room.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Crates that talk to a database, a cloud or the disk. A name that ends with `*` stands for all that start so.
const DRIVERS: [&str; 6] = ["rusqlite", "sqlx", "mongodb", "object_store", "cap-std", "aws-*"];
/// Cryptography, not a cloud: the chassis signs and seals with it.
const NOT_DRIVERS: [&str; 1] = ["aws-lc-rs"];

/// The rooms from the top down. A room may name any room below its own floor, and none beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Binary,
    Backends,
    Service,
    Chassis,
    /// For tests alone: below all, so that it names none of them, and free to test itself with real clients.
    Testkit,
}

/// One manifest, as far as its arrows go.
struct Room {
    name: String,
    floor: Floor,
    dependencies: Vec<String>,
    /// Those that are in what users run: neither of tests nor of build scripts.
    shipped: Vec<String>,
}

#[test]
fn dependencies_point_down_only() {
    assert_eq!(wrong_arrows(&rooms()), Vec::<String>::new());
}

#[test]
fn only_backends_knows_a_driver() {
    assert_eq!(misplaced_drivers(&rooms()), Vec::<String>::new());
}

#[test]
fn every_room_of_the_workspace_has_its_floor() {
    let rooms = rooms();
    let floor_of = |name: &str| rooms.iter().find(|room| room.name == name).map(|room| room.floor);
    assert_eq!(floor_of("keelson"), Some(Floor::Binary));
    assert_eq!(floor_of("backends"), Some(Floor::Backends));
    assert_eq!(floor_of("pipeline"), Some(Floor::Service));
    assert_eq!(floor_of("chassis"), Some(Floor::Chassis));
    assert_eq!(floor_of("testkit"), Some(Floor::Testkit));
}

#[test]
fn a_wrong_arrow_is_found_in_every_kind_of_dependency() {
    for kind in [
        "[dependencies]\nusers.workspace = true",
        "[dev-dependencies]\nusers = { workspace = true, features = [\"testing\"] }",
        "[build-dependencies]\nusers = { path = \"../users\" }",
        "[dependencies.users]\nworkspace = true",
        "[dependencies]\nfriends = { package = \"users\", path = \"../users\" }",
        "[target.'cfg(unix)'.dependencies]\nusers.workspace = true",
    ] {
        let rooms = [room("services/users", "users", ""), room("services/pipeline", "pipeline", kind)];
        assert_eq!(wrong_arrows(&rooms), ["pipeline → users"], "{kind}");
    }
}

#[test]
fn an_arrow_upwards_is_found_and_one_past_a_floor_is_allowed() {
    let all_four = |from: &str| {
        let every = "[dependencies]\nkeelson = \"1\"\nbackends = \"1\"\npipeline = \"1\"\nchassis = \"1\"";
        let paths = ["crates/keelson", "crates/backends", "services/pipeline", "crates/chassis"];
        let rooms = paths.map(|path| {
            let name = path.rsplit('/').next().unwrap();
            room(path, name, if name == from { every } else { "" })
        });
        wrong_arrows(&rooms)
    };
    assert_eq!(all_four("keelson"), Vec::<String>::new());
    assert_eq!(all_four("backends"), ["backends → keelson"]);
    assert_eq!(all_four("pipeline"), ["pipeline → backends", "pipeline → keelson"]);
    assert_eq!(all_four("chassis"), ["chassis → backends", "chassis → keelson", "chassis → pipeline"]);
}

#[test]
fn the_test_kit_is_for_tests_of_rooms_above_the_chassis() {
    let kit = || room("crates/testkit", "testkit", "[dev-dependencies]\naws-sdk-sqs = \"1\"");
    let arrows = |from: Room| wrong_arrows(&[from, kit()]);
    for (path, name) in [("services/users", "users"), ("crates/backends", "backends"), ("crates/keelson", "keelson")] {
        let allowed = room(path, name, "[dev-dependencies]\ntestkit.workspace = true");
        assert_eq!(arrows(allowed), Vec::<String>::new());
        let shipped = room(path, name, "[dependencies]\ntestkit.workspace = true");
        assert_eq!(arrows(shipped), [format!("{name} → testkit")]);
    }
    let chassis = room("crates/chassis", "chassis", "[dev-dependencies]\ntestkit.workspace = true");
    assert_eq!(arrows(chassis), ["chassis → testkit"]);
    let knowing = room("crates/testkit", "testkit", "[dev-dependencies]\nchassis.workspace = true");
    assert_eq!(wrong_arrows(&[knowing, room("crates/chassis", "chassis", "")]), ["testkit → chassis"]);
    assert_eq!(misplaced_drivers(&[kit()]), Vec::<String>::new());
    let shipping = room("crates/testkit", "testkit", "[dependencies]\naws-sdk-sqs = \"1\"");
    assert_eq!(misplaced_drivers(&[shipping]), ["testkit → aws-sdk-sqs"]);
}

#[test]
fn a_driver_outside_backends_is_found() {
    for driver in ["rusqlite", "sqlx", "mongodb", "object_store", "cap-std", "aws-sdk-sqs", "aws-config"] {
        let manifest = format!("[dependencies]\n{driver} = \"1\"\naws-lc-rs = \"1\"\nserde = \"1\"\n");
        for (path, name) in [("services/users", "users"), ("crates/chassis", "chassis"), ("crates/keelson", "keelson")]
        {
            let expected = format!("{name} → {driver}");
            assert_eq!(misplaced_drivers(&[room(path, name, &manifest)]), [expected]);
        }
        assert_eq!(misplaced_drivers(&[room("crates/backends", "backends", &manifest)]), Vec::<String>::new());
    }
}

#[test]
fn every_shared_dependency_says_what_it_is_for() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_eq!(unexplained(&manifest), Vec::<&str>::new(), "add a comment behind these lines");
    assert_eq!(unexplained("[workspace.dependencies]\na = \"1\" # reason\nb = \"1\"\n\n[profile.dev]\nc = 1"), ["b"]);
}

#[test]
fn no_shared_dependency_hides_behind_another_name() {
    let manifest: Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    for (name, value) in manifest["workspace"]["dependencies"].as_table().unwrap() {
        assert_eq!(real_name(name, value), *name, "the rooms would use a driver without naming it");
    }
}

/// Arrows between our own rooms that do not point down.
fn wrong_arrows(rooms: &[Room]) -> Vec<String> {
    let mut wrong = Vec::new();
    for from in rooms {
        let below = |to: &&Room| match to.floor {
            Floor::Testkit => from.floor < Floor::Chassis && !from.shipped.contains(&to.name),
            floor => floor > from.floor,
        };
        let own = from.dependencies.iter().filter_map(|name| rooms.iter().find(|room| room.name == *name));
        // A crate names itself to turn its own features on for its tests.
        let others = own.filter(|to| to.name != from.name);
        wrong.extend(others.filter(|to| !below(to)).map(|to| format!("{} → {}", from.name, to.name)));
    }
    wrong
}

fn misplaced_drivers(rooms: &[Room]) -> Vec<String> {
    let outside = rooms.iter().filter(|room| room.floor != Floor::Backends);
    let named =
        |room: &Room| if room.floor == Floor::Testkit { room.shipped.clone() } else { room.dependencies.clone() };
    let arrows = outside.flat_map(|room| named(room).into_iter().map(move |to| (&room.name, to)));
    arrows.filter(|(_, to)| is_driver(to)).map(|(from, to)| format!("{from} → {to}")).collect()
}

fn is_driver(name: &str) -> bool {
    let matches = |driver: &str| driver.strip_suffix('*').map_or(name == driver, |start| name.starts_with(start));
    !NOT_DRIVERS.contains(&name) && DRIVERS.into_iter().any(matches)
}

/// Names of `[workspace.dependencies]` whose line has no comment. Our own rooms explain themselves.
fn unexplained(manifest: &str) -> Vec<&str> {
    let lines = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let table = lines.take_while(|line| !line.starts_with('['));
    let entries = table.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    entries.filter(|(_, rest)| !rest.contains(" # ") && !rest.contains("path = ")).map(|(name, _)| name).collect()
}

fn rooms() -> Vec<Room> {
    let manifest: Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| read_room(member.as_str().unwrap())).collect()
}

fn read_room(path: &str) -> Room {
    let text = fs::read_to_string(root().join(path).join("Cargo.toml")).unwrap();
    let manifest: Table = text.parse().unwrap();
    room(path, manifest["package"]["name"].as_str().unwrap(), &text)
}

fn room(path: &str, name: &str, manifest: &str) -> Room {
    let floor = match path {
        "crates/keelson" => Floor::Binary,
        "crates/backends" => Floor::Backends,
        "crates/chassis" => Floor::Chassis,
        "crates/testkit" => Floor::Testkit,
        _ => {
            assert!(path.starts_with("services/"), "{path} has no floor: give it one here, or move it to services/");
            Floor::Service
        }
    };
    let manifest = manifest.parse().unwrap();
    let all = dependencies(&manifest, &["dependencies", "dev-dependencies", "build-dependencies"]);
    Room { name: name.to_owned(), floor, dependencies: all, shipped: dependencies(&manifest, &["dependencies"]) }
}

/// Everything of these kinds that a manifest depends on, under its real name, for every target.
fn dependencies(manifest: &Table, kinds: &[&str]) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let places = targets.filter_map(Value::as_table).chain([manifest]);
    let tables = places.flat_map(|place| kinds.iter().filter_map(|kind| place.get(*kind)?.as_table()));
    tables.flatten().map(|(name, value)| real_name(name, value)).collect()
}

fn real_name(name: &str, value: &Value) -> String {
    value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}
