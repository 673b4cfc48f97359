//! From texts to values, collecting every mistake on the way.

use std::fmt;

use super::reference::without_password;
use super::{FromText, Layers, OptionalSetting, Origin, Setting, SettingInfo};

/// Every wrong setting, a line each: what was found, where, and what is expected.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    /// A single one.
    #[must_use]
    pub fn one(line: String) -> Self {
        Self(vec![line])
    }

    /// Adds a line.
    pub fn add(&mut self, line: String) {
        self.0.push(line);
    }

    /// Adds all lines of `others`.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The value, if there was no mistake.
    ///
    /// # Errors
    /// The mistakes, if there were any.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} {}:", if count == 1 { "mistake" } else { "mistakes" })?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Mistakes {}

/// Reads settings from layers. Values that are wrong are replaced by their default and remembered as mistakes, so that
/// one pass finds them all.
#[derive(Debug)]
pub struct Reader<'a> {
    layers: &'a Layers,
    mistakes: Mistakes,
}

impl<'a> Reader<'a> {
    /// A reader without mistakes.
    #[must_use]
    pub fn new(layers: &'a Layers) -> Self {
        Self { layers, mistakes: Mistakes::default() }
    }

    /// The setting's value, or its default.
    #[expect(clippy::expect_used, reason = "a test reads every default")]
    pub fn get<T: FromText>(&mut self, setting: &Setting<T>) -> T {
        let default = setting.info.default.unwrap_or_default();
        self.find(&setting.info).unwrap_or_else(|| T::from_text(default).expect("a default has its setting's type"))
    }

    /// The setting's value, if it was set.
    pub fn get_optional<T: FromText>(&mut self, setting: &OptionalSetting<T>) -> Option<T> {
        self.find(&setting.info)
    }

    /// Whether somebody set it, even to its default.
    #[must_use]
    pub fn is_set(&self, info: &SettingInfo) -> bool {
        self.layers.find(info.name).is_some()
    }

    /// Remembers that a setting's value breaks a rule; `expected` completes "expected …".
    pub fn refuse(&mut self, info: &SettingInfo, expected: &str) {
        let found = self.found(info);
        self.mistakes.add(format!("{found}: expected {expected}"));
    }

    /// A setting as messages show it: its text and where it came from; `***` for a secret.
    #[must_use]
    pub fn found(&self, info: &SettingInfo) -> String {
        match self.layers.find(info.name) {
            Some((text, origin)) => describe(info, text, origin),
            None => format!("{} is not set", info.name),
        }
    }

    /// Remembers mistakes that were found elsewhere.
    pub fn extend(&mut self, mistakes: Mistakes) {
        self.mistakes.extend(mistakes);
    }

    /// `value`, if nothing was wrong.
    ///
    /// # Errors
    /// Every mistake.
    pub fn finish<T>(self, value: T) -> Result<T, Mistakes> {
        self.mistakes.into_result(value)
    }

    fn find<T: FromText>(&mut self, info: &SettingInfo) -> Option<T> {
        let (text, _) = self.layers.find(info.name)?;
        let value = T::from_text(text.trim());
        if value.is_none() {
            self.refuse(info, T::EXPECTED);
        }
        value
    }
}

/// Characters of a wrong value that a message repeats.
const SHOWN_CHARS: usize = 80;

fn describe(info: &SettingInfo, text: &str, origin: &Origin) -> String {
    if info.secret {
        return format!("{}=*** ({origin})", info.name);
    }
    let text = without_password(text);
    let shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    let more = if text.chars().count() > SHOWN_CHARS { "…" } else { "" };
    format!("{}={shown}{more} ({origin})", info.name)
}
