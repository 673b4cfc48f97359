//! When two usernames are the same.

use unicode_normalization::UnicodeNormalization as _;

/// Letters without their case. By way of the upper case, since some letters have two lower ones (`σ`, `ς`) or none alone
/// (`ß`). It can undo a normal form, which is to be made once more.
pub(super) fn fold(letters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    letters.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// A username without what people do not tell apart: its case, and the several ways to write one character in Unicode
/// (NFKC, as RFC 8265 has it for usernames).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsernameKey(String);

impl UsernameKey {
    /// The key of a username.
    #[must_use]
    pub fn of(username: &str) -> Self {
        Self(fold(username.nfkc()).nfkc().collect())
    }

    /// As stores keep it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_forms_of_a_character_make_no_other_username() {
        for (one, other) in [
            ("Ann", "aNN"),
            ("Ärger", "a\u{308}rger"),
            ("ﬁne", "FINE"),
            ("STRASSE", "straße"),
            ("ΝΊΚΟΣ", "Νίκος"),
            ("admin", "ａⓓ𝐦in"),
        ] {
            assert_eq!(UsernameKey::of(one), UsernameKey::of(other), "{one} {other}");
        }
        assert_ne!(UsernameKey::of("ann"), UsernameKey::of("anne"));
    }
}
