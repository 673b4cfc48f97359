//! Where texts of settings come from, and which of them wins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{Mistakes, SettingInfo};

/// Which layer a setting's text came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment,
    /// A flag of the command line, such as `--port`.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// The texts of all settings that were set, with their origin.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Origin)>,
    file: Option<PathBuf>,
}

impl Layers {
    /// Layers the file, the process's environment and the flags, weakest first. An empty text counts as unset.
    ///
    /// # Errors
    /// All keys of the file that are no settings, or the reason why the file cannot be read.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn load(
        known: &[SettingInfo],
        file: Option<&Path>,
        flags: &[(&'static str, &'static str, String)],
    ) -> Result<Self, Mistakes> {
        let mut layers = Self::default();
        if let Some(path) = file {
            layers.add_file(known, path)?;
            layers.file = Some(path.to_owned());
        }
        for setting in known {
            // A value that is not UTF-8 is kept, with marks, so that its type refuses it by name.
            if let Some(text) = std::env::var_os(setting.name) {
                layers.set(setting.name, &text.to_string_lossy(), Origin::Environment);
            }
        }
        for (name, flag, text) in flags {
            layers.set(name, text, Origin::Flag(flag));
        }
        Ok(layers)
    }

    /// The same with the file as it is now.
    ///
    /// # Errors
    /// As [`Layers::load`].
    pub fn read_again(&self, known: &[SettingInfo]) -> Result<Self, Mistakes> {
        let mut layers = Self { file: self.file.clone(), ..Self::default() };
        if let Some(path) = &self.file {
            layers.add_file(known, path)?;
        }
        for (name, (text, origin)) in &self.values {
            if !matches!(origin, Origin::File(_)) {
                layers.set(name, text, origin.clone());
            }
        }
        Ok(layers)
    }

    /// The configuration file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Layers for tests and tools: these texts and nothing else.
    #[must_use]
    pub fn of(texts: &[(&'static str, &str)]) -> Self {
        let mut layers = Self::default();
        for (name, text) in texts {
            layers.set(name, text, Origin::Environment);
        }
        layers
    }

    /// Sets one text, over all layers so far. An empty one is no setting.
    pub fn set(&mut self, name: &'static str, text: &str, origin: Origin) {
        if !text.is_empty() {
            self.values.insert(name, (text.to_owned(), origin));
        }
    }

    /// The text and origin of a setting, when it was set.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(&str, &Origin)> {
        self.values.get(name).map(|(text, origin)| (text.as_str(), origin))
    }

    fn add_file(&mut self, known: &[SettingInfo], path: &Path) -> Result<(), Mistakes> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Mistakes::one(format!("configuration file {shown}: cannot be read: {error}")))?;
        let table: toml::Table = text
            .parse()
            .map_err(|error| Mistakes::one(format!("configuration file {shown}: {}", not_toml(&text, &error))))?;
        let mut found = Vec::new();
        flatten(known, "", &table, &mut found);
        let mut mistakes = Mistakes::default();
        for (name, value) in found {
            match known.iter().find(|setting| setting.name == name) {
                Some(setting) => self.set(setting.name, &text_of(value), Origin::File(path.to_owned())),
                None => {
                    mistakes.add(format!("{name} ({shown}): no such setting; `keelson config reference` lists them"))
                }
            }
        }
        mistakes.into_result(())
    }
}

/// The names of all values in a table: keys joined by `_`, down to the tables that are a setting's value themselves.
fn flatten<'t>(
    known: &[SettingInfo],
    prefix: &str,
    table: &'t toml::Table,
    found: &mut Vec<(String, &'t toml::Value)>,
) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.to_ascii_uppercase());
        match value {
            toml::Value::Table(inner) if !known.iter().any(|setting| setting.name == name) => {
                flatten(known, &format!("{name}_"), inner, found);
            }
            _ => found.push((name, value)),
        }
    }
}

/// What is wrong and where. The error's own text would repeat the line, which may hold a secret.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    format!("line {line}: expected TOML: {}", error.message().trim_end())
}

/// A TOML value as it would be written in the environment: lists of plain values with commas, anything else as JSON.
fn text_of(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) if items.iter().all(|item| !item.is_table() && !item.is_array()) => {
            items.iter().map(text_of).collect::<Vec<_>>().join(",")
        }
        toml::Value::Array(_) | toml::Value::Table(_) => serde_json::to_string(value).unwrap_or_default(),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_broken_file_is_reported_by_line_and_without_its_text() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"LOG_LEVEL = \"DEBUG\"\nAPI_TOKEN = \"7Jw2qPzX0vLr9sTt\n").unwrap();
        let mistakes = Layers::load(&[], Some(file.path()), &[]).unwrap_err();
        let expected = format!(
            "configuration file {}: line 2: expected TOML: invalid basic string, expected `\"`",
            file.path().display()
        );
        assert_eq!(mistakes.lines(), [expected]);
    }
}
