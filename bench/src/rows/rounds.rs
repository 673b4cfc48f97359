//! What examples of the product's crates print: a line for each round.

/// How often something was done in a second of one round.
#[derive(Debug, PartialEq)]
pub(super) struct Round<'a> {
    what: &'a str,
    pub(super) ours: f64,
    pub(super) theirs: f64,
}

/// Those of what begins like this.
pub(super) fn rounds<'a>(text: &'a str, what: &str) -> Vec<Round<'a>> {
    text.lines().filter_map(read).filter(|round| round.what.starts_with(what)).collect()
}

/// Lines such as `find, callers: 64: 100/s, beside 50/s`. Those that sum up begin with an arrow.
fn read(line: &str) -> Option<Round<'_>> {
    let (what, rates) = line.rsplit_once(": ")?;
    let (ours, theirs) = rates.strip_suffix("/s")?.split_once("/s, beside ")?;
    let (ours, theirs) = (ours.parse().ok()?, theirs.parse().ok()?);
    (!what.starts_with("-> ")).then_some(Round { what, ours, theirs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_read_and_what_sums_them_up_is_not() {
        let round = Round { what: "find, callers: 64", ours: 100.0, theirs: 50.0 };
        assert_eq!(read("find, callers: 64: 100/s, beside 50/s"), Some(round));
        for other in [
            "-> find, callers: 64: 100/s, beside 50/s",
            "| find, callers: 64 | 100/s, beside 50/s | | |",
            "-> find, callers: 1: 100/s",
            "-> server: PostgreSQL 15",
            "",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
