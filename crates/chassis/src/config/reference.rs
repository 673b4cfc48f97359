//! The printed reference, and the explanation of one setting.

use std::fmt::Write as _;

use super::{Layers, Origin, Section, SettingInfo};

/// All settings as Markdown: `docs/CONFIGURATION.md` is this text.
#[must_use]
pub fn reference(sections: &[Section]) -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Printed by `keelson config reference`; a test fails when this page is stale.\n\n\
         Built-in defaults < file (`--config`, `KEELSON_CONFIG`, TOML) < environment < flags. In the file, tables and keys\n\
         joined by `_` are the names below: `[log]` with `level = \"DEBUG\"` is `LOG_LEVEL`. `keelson config` shows what is\n\
         in force and where it comes from, `keelson config explain NAME` a single setting. A wrong value stops the start\n\
         with exit code 64 and one message that lists every mistake.\n\n\
         Times are written `30`, `30s`, `250ms`, `5m` or `24h` (a bare number is seconds), switches `true` or `false`,\n\
         lists with commas. An empty text counts as unset. Names that this build does not know are ignored in the\n\
         environment and are a mistake in the file.\n",
    );
    for section in sections {
        let _ = write!(page, "\n## {}\n\n| name | default | meaning |\n|---|---|---|\n", section.title);
        for setting in section.settings {
            let default = match setting.default {
                None => "unset".to_owned(),
                Some("") => "empty".to_owned(),
                Some(text) => format!("`{text}`"),
            };
            let _ = writeln!(page, "| `{}` | {default} | {} |", setting.name, setting.doc.replace('|', "\\|"));
        }
    }
    page
}

/// Longest line of [`env_file`] before its next word.
const ENV_FILE_WIDTH: usize = 118;

/// All settings as a file of the environment in which each is commented out: `.env.example` ends with this text.
#[must_use]
pub fn env_file(sections: &[Section]) -> String {
    let mut page = String::from(
        "# Settings of the services, each with its default. Printed by `keelson config reference --env`; a test fails when\n\
         # this is stale. docs/CONFIGURATION.md says more about each.\n",
    );
    for section in sections {
        let _ = write!(page, "\n# == {} ==\n", section.title);
        for setting in section.settings {
            let meaning = wrapped(first_sentence(setting.doc));
            let _ = write!(page, "\n{meaning}#{}={}\n", setting.name, setting.default.unwrap_or_default());
        }
    }
    page
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text.trim_end_matches('.'), |(first, _)| first)
}

/// As lines of a comment.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > ENV_FILE_WIDTH {
            let _ = writeln!(lines, "{line}");
            line = String::from("#");
        }
        let _ = write!(line, " {word}");
    }
    lines + &line + "\n"
}

/// One setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The environment variable.
    pub name: &'static str,
    /// The text in force, `***` for a secret; `None` when unset.
    pub value: Option<String>,
    /// Where the text came from.
    pub origin: Origin,
    /// The built-in default.
    pub default: Option<&'static str>,
    /// What it does.
    pub doc: &'static str,
}

/// How a setting stands in these layers.
#[must_use]
pub fn explain(info: &SettingInfo, layers: &Layers) -> Explained {
    let (text, origin) = match layers.find(info.name) {
        Some((text, origin)) => (Some(text), origin.clone()),
        None => (info.default, Origin::Default),
    };
    let value = text.map(|text| if info.secret { "***".to_owned() } else { without_password(text) });
    Explained { name: info.name, value, origin, default: info.default, doc: info.doc }
}

/// `scheme://user:password@host` with `***` for the password: all up to the last `@` before the parameters, or the last of
/// all, since a password that is not escaped may have any letter.
pub(super) fn without_password(text: &str) -> String {
    let masked = || {
        let (scheme, rest) = text.split_once("://")?;
        let before_parameters = rest.split('?').next().unwrap_or(rest);
        let end = before_parameters.rfind('@').or_else(|| rest.rfind('@'))?;
        let (user, _) = rest[..end].split_once(':')?;
        Some(format!("{scheme}://{user}:***@{}", &rest[end + 1..]))
    };
    masked().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{OptionalSetting, Setting};
    use super::*;

    #[test]
    fn a_file_of_the_environment_has_each_setting_commented_out_with_its_first_sentence() {
        const PAUSE: Setting<u16> =
            Setting::new("PAUSE", "10s", "How long a pause is, such as `1.5s`. More is refused.");
        const NAME: OptionalSetting<String> = OptionalSetting::new("NAME", "A name.");
        let file = env_file(&[Section { title: "Pauses", settings: &[PAUSE.info, NAME.info] }]);
        let (_head, settings) = file.split_once("\n\n").unwrap();
        assert_eq!(
            settings,
            "# == Pauses ==\n\n# How long a pause is, such as `1.5s`\n#PAUSE=10s\n\n# A name\n#NAME=\n"
        );
    }

    #[test]
    fn long_meanings_are_wrapped_between_words() {
        let text = ["seventeen letters"; 20].join(" ");
        let lines = wrapped(&text);
        assert!(lines.lines().count() > 1 && lines.lines().all(|line| line.len() <= ENV_FILE_WIDTH), "{lines}");
        assert_eq!(lines.replace("\n# ", " ").trim_start_matches("# ").trim_end(), text);
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        assert_eq!(
            without_password("postgres://keelson:s3cret@db:5432/queue?a=b"),
            "postgres://keelson:***@db:5432/queue?a=b"
        );
        for password in ["12/34", "1@2/3", "1?2", "1#2", "/", "a:b/c"] {
            let url = without_password(&format!("postgres://u:{password}@h/db?application_name=it"));
            assert_eq!(url, "postgres://u:***@h/db?application_name=it", "{password}");
        }
        assert_eq!(
            without_password("postgres://u:p@h/db?application_name=a@b"),
            "postgres://u:***@h/db?application_name=a@b"
        );
        for plain in ["sqlite:./queue.db", "http://localhost:4566", "a@b:c", "postgres://db/queue", "https://x/@:a"] {
            assert_eq!(without_password(plain), plain);
        }
    }
}
