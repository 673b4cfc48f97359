//! Flags of `keelson token`.

use clap::{Args, Subcommand};

pub(super) const HELP: &str = "\
Tokens are signed with JWT_SECRET_KEY where it is set, else with the key that `keelson up` has made in
the data folder. Whoever has that key can do everything; a token says what its bearer may do, and for
how long. In development routes ask for no scope.

Examples:
  keelson token issue --scope users:read --scope users:write
  curl -H \"Authorization: Bearer $(keelson token issue --scope users:read)\" http://127.0.0.1:8002/api/v1/users
  keelson token issue --subject nightly-report --scope users:read --lifetime 10m
  keelson token check < token.txt

Exit codes: 0 done, 1 the token is not good, 64 wrong usage or no key, 69 the key cannot be read,
130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a new token
    Issue(IssueArgs),
    /// Read a token from standard input, and print what it says if it is good
    Check,
}

#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// What its bearer may do; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", value_parser = SCOPES)]
    pub(crate) scopes: Vec<String>,
    /// Whose token it is, as logs and limits tell bearers apart; a user's id reaches what is that user's own
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub(crate) subject: String,
    /// How long it is good, up to 30d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(crate) lifetime: String,
}

/// Every scope that a route asks for, here or in a service to come.
const SCOPES: [&str; 9] = [
    "users:read",
    "users:write",
    "orders:read",
    "orders:write",
    "analytics:read",
    "analytics:write",
    "calls:invoke",
    "ops:read",
    "ops:write",
];
