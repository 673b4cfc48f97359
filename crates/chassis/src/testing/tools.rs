//! Programs that tests ask for a second opinion.
#![expect(clippy::expect_used, reason = "a test kit fails by panicking")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Set by the test command, which installs the tools: then a missing one fails the test instead of skipping it.
const REQUIRE: &str = "KEELSON_REQUIRE_TOOLS";

/// Finds a program on the path; prints why the test is skipped when there is none.
///
/// # Panics
/// When it is missing although the test command promised it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests run with what the test command put into the environment")]
pub fn require_tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file());
    require(name, found.is_some()).then_some(found).flatten()
}

/// For what else a test needs of its machine, such as a right: answers whether it `is_there`, and says why the test is
/// skipped when it is not.
///
/// # Panics
/// When it is missing although the test command promised it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests run with what the test command put into the environment")]
pub fn require(what: &str, is_there: bool) -> bool {
    if !is_there {
        assert!(std::env::var_os(REQUIRE).is_none(), "{what} is missing although {REQUIRE} is set");
        let _ = writeln!(std::io::stderr(), "SKIP: {what} is missing");
    }
    is_there
}

/// Lets `promtool` look at a page of metrics: it must find nothing at all.
///
/// # Panics
/// When it finds something, or cannot be run.
pub fn check_exposition(page: &str) {
    let Some(promtool) = require_tool("promtool") else { return };
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    check.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("promtool reads");
    let output = check.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{page}", String::from_utf8_lossy(&said));
}
