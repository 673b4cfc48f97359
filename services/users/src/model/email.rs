//! E-mail addresses: which are valid, and when two are the same.

use std::fmt;

use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization as _;

use super::username::fold;

/// Characters of an address (RFC 5321, section 4.5.3.1, as corrected by erratum 1690).
const MAX_CHARS: usize = 254;

/// A valid address, as its owner writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// An address without what makes no difference: the case of its letters, the several ways to write one character in
/// Unicode, and the two forms of an international domain. RFC 5321 lets the part before the `@` tell cases apart; no
/// provider does, and two accounts of one person would be the result.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailKey(String);

impl Email {
    /// Takes an address with a domain of at least two labels, international ones too; neither a display name nor the
    /// address of a machine.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
        if text.chars().count() > MAX_CHARS || text.contains('\0') {
            return None;
        }
        // The grammar knows no combining marks.
        EmailAddress::parse_with_options(&text.nfc().collect::<String>(), options).ok()?;
        let email = Self(text.to_owned());
        email.ascii_domain().is_some().then_some(email)
    }

    /// An address that was checked before, such as one from a store.
    #[must_use]
    pub fn known(text: String) -> Self {
        Self(text)
    }

    /// As its owner writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What nobody else may have.
    #[must_use]
    pub fn key(&self) -> EmailKey {
        let (local, domain) = self.parts();
        let local: String = fold(local.nfc()).nfc().collect();
        let domain = self.ascii_domain().unwrap_or_else(|| domain.to_lowercase());
        EmailKey(format!("{local}@{domain}"))
    }

    fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('@').unwrap_or((&self.0, ""))
    }

    fn ascii_domain(&self) -> Option<String> {
        idna::domain_to_ascii(self.parts().1).ok()
    }
}

impl EmailKey {
    /// As stores keep it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    /// Personal: not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(***)")
    }
}

impl fmt::Debug for EmailKey {
    /// Personal: not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_people_are_valid_and_others_are_not() {
        for valid in ["john.doe@example.com", "a+b@x.co", "o'neil@sub.example.org", "jörg@exämple.de", "用户@例子.公司"]
        {
            assert!(Email::parse(valid).is_some(), "{valid}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for invalid in
            ["", "john", "@example.com", "john@", "john@localhost", "John <john@example.com>", "j@[127.0.0.1]", &long]
        {
            assert!(Email::parse(invalid).is_none(), "{invalid}");
        }
        for invalid in ["a b@example.com", "a@exa mple.com", "a\0b@example.com", "a@b@example.com", "a@-.com"] {
            assert!(Email::parse(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn case_and_forms_make_no_other_address() {
        let key = |text| Email::parse(text).unwrap().key();
        assert_eq!(key("John.Doe@Example.COM"), key("john.doe@example.com"));
        assert_eq!(key("j\u{f6}rg@ex\u{e4}mple.de"), key("JO\u{308}RG@xn--exmple-cua.de"));
        assert_eq!(key("Νίκος@example.com"), key("ΝΊΚΟΣ@example.com"));
        assert_ne!(key("john@example.com"), key("jon@example.com"));
    }
}
