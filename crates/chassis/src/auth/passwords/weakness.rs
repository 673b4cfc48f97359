//! Passwords that are guessed first: those that many people have, and those that stand beside the password.
//!
//! Source: NIST SP 800-63B-4, section 3.1.1.2 (whole passwords are compared, no parts of them)

use std::cmp::Ordering;
use std::fmt;

/// 8,346 passwords in lower case, sorted by their bytes, one on each line. `common.LICENSE` says where they come from.
const COMMON: &[u8] = include_bytes!("common.txt");

/// Why a password is easy to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Many people have it.
    Common,
    /// It is the username.
    Username,
    /// It is the e-mail address, or what stands before its `@`.
    Email,
}

impl Weakness {
    /// What to tell the user.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Common => "Password is too common, choose another one",
            Self::Username => "Password must not be the username",
            Self::Email => "Password must not be the e-mail address or a part of it",
        }
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why a new password should be refused, if it should.
#[must_use]
pub fn weakness_of(password: &str, username: &str, email: &str) -> Option<Weakness> {
    let local_part = email.rsplit_once('@').map_or(email, |(local_part, _)| local_part);
    if is_same(password, username) {
        Some(Weakness::Username)
    } else if is_same(password, email) || is_same(password, local_part) {
        Some(Weakness::Email)
    } else {
        is_common(password).then_some(Weakness::Common)
    }
}

/// Whether a password, in any case, is one of the 8,346 that are most common among those of 8 characters and more.
#[must_use]
fn is_common(password: &str) -> bool {
    let mut rest = COMMON;
    while let Some(last) = rest.len().checked_sub(1) {
        // The line around the middle: it ends at the first line break from there on.
        let middle = last / 2;
        let start = memchr::memrchr(b'\n', &rest[..middle]).map_or(0, |before| before + 1);
        let end = memchr::memchr(b'\n', &rest[middle..]).map_or(rest.len(), |after| middle + after);
        let line = rest[start..end].iter().copied();
        match line.cmp(password.bytes().map(|byte| byte.to_ascii_lowercase())) {
            Ordering::Less => rest = rest.get(end + 1..).unwrap_or_default(),
            Ordering::Equal => return true,
            Ordering::Greater => rest = &rest[..start],
        }
    }
    false
}

fn is_same(one: &str, other: &str) -> bool {
    one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn lines() -> impl Iterator<Item = &'static str> {
        std::str::from_utf8(COMMON).unwrap().lines()
    }

    #[test]
    fn the_list_is_sorted_in_lower_case_and_of_eight_characters_at_least() {
        assert_eq!(lines().count(), 8346);
        assert!(lines().is_sorted_by(|one, next| one.as_bytes() < next.as_bytes()));
        let fits = |line: &str| line.len() >= 8 && line.is_ascii() && !line.contains(|c: char| c.is_ascii_uppercase());
        assert!(lines().all(fits));
    }

    #[test]
    fn each_password_of_the_list_is_common_in_any_case() {
        for line in lines() {
            assert!(is_common(line) && is_common(&line.to_ascii_uppercase()), "{line}");
        }
    }

    #[test]
    fn a_part_of_a_common_password_or_one_with_more_to_it_is_not_common() {
        let all: HashSet<&str> = lines().collect();
        for line in lines() {
            let (longer, shorter) = (format!("{line}~"), &line[..line.len() - 1]);
            assert_eq!(is_common(&longer), all.contains(longer.as_str()), "{longer}");
            assert_eq!(is_common(shorter), all.contains(shorter), "{shorter}");
        }
        for uncommon in ["", "\n", "password\n", "correct horse battery staple", "~~~~~~~~~", "pässwörd1"] {
            assert!(!is_common(uncommon), "{uncommon}");
        }
    }

    #[test]
    fn a_password_that_stands_beside_itself_is_refused() {
        let refused = |password| weakness_of(password, "Jörg.Meier", "j.meier+shop@example.org");
        assert_eq!(refused("JÖRG.MEIER"), Some(Weakness::Username));
        assert_eq!(refused("J.Meier+Shop@example.org"), Some(Weakness::Email));
        assert_eq!(refused("J.Meier+Shop"), Some(Weakness::Email));
        assert_eq!(refused("PassWord1"), Some(Weakness::Common));
        assert_eq!(refused("jörg.meier and more"), None);
        assert_eq!(refused("example.org"), None);
    }
}
