//! Programs that tests ask for a second opinion.

use std::path::PathBuf;

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
    if found.is_none() {
        assert!(std::env::var_os(REQUIRE).is_none(), "{name} is missing although {REQUIRE} is set");
        std::io::Write::write_all(&mut std::io::stderr(), format!("SKIP: {name} is not installed\n").as_bytes()).ok();
    }
    found
}
