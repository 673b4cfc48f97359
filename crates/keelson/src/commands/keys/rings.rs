//! Where rings are: the settings that hold one or refer to one, by their names, and the one that `keelson up` makes.

use std::path::PathBuf;

use backends::local::{SecretFile, generated_secret_path};
use chassis::config::{Layers, Origin};
use chassis::envelope::RingText;
use chassis::ports::SecretError;
use secrecy::SecretString;

use crate::cli::{Common, ListenArgs};
use crate::failure::Failure;
use crate::settings::{self, KeySetting, Mode, Settings};
use crate::wire::{self, ENCRYPTION_KEY_FILE};

/// The ring that all services share.
const SHARED: &str = "ENCRYPTION_KEY";

/// A ring that is in force.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) setting: &'static str,
    /// Where it comes from, in words.
    pub(super) origin: String,
    pub(super) ring: RingText,
}

/// The settings as `up` would read them.
pub(super) fn load(common: &Common) -> Result<(Layers, Settings), Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let settings = Settings::read(&layers, Mode::Up, &[])?;
    Ok((layers, settings))
}

/// The rings of all settings that name one, as they are now.
pub(super) async fn in_force(layers: &Layers, settings: &Settings) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for KeySetting { info, owner, .. } in &settings.keys.all {
        match layers.find(info.name) {
            Some((text, origin)) => found.push(named(settings, info.name, text, origin).await?),
            None if owner.is_none() => found.extend(generated(settings)?),
            None => {}
        }
    }
    Ok(found)
}

async fn named(settings: &Settings, setting: &'static str, text: &str, origin: &Origin) -> Result<Found, Failure> {
    let text = SecretString::from(text.trim());
    let (text, shown) = match wire::secret_sources(&settings.aws).reference(&text) {
        None => (text, "***".to_owned()),
        Some((source, reference)) => match source.fetch(&reference.name).await {
            Ok(text) => (text, reference.to_string()),
            Err(error @ SecretError::Unavailable(_)) => return Err(Failure::unavailable(error.to_string())),
            Err(error) => return Err(Failure::usage(format!("{setting}={reference}: {error}"))),
        },
    };
    let ring = RingText::parse(&text).map_err(|error| Failure::usage(format!("{setting}={shown}: {error}")))?;
    let origin = if shown == "***" { origin.to_string() } else { format!("{shown} ({origin})") };
    Ok(Found { setting, origin, ring })
}

/// What `keelson up` has made, if it has run.
fn generated(settings: &Settings) -> Result<Option<Found>, Failure> {
    let path = generated_secret_path(&settings.data, ENCRYPTION_KEY_FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let shown = path.display();
    let ring = RingText::parse(&SecretFile::read(&path)?);
    let ring = ring.map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    Ok(Some(Found { setting: SHARED, origin: format!("{shown} (generated)"), ring }))
}

/// The file that a rotation changes when none is named.
pub(super) fn default_file(layers: &Layers, settings: &Settings) -> Result<PathBuf, Failure> {
    let Some((text, origin)) = layers.find(SHARED) else {
        return Ok(generated_secret_path(&settings.data, ENCRYPTION_KEY_FILE));
    };
    let sources = wire::secret_sources(&settings.aws);
    match sources.reference(&SecretString::from(text.trim())) {
        Some((_, reference)) if reference.scheme == "file" => Ok(reference.name.into()),
        Some((_, reference)) => Err(Failure::usage(format!(
            "{SHARED} refers to {reference}, which is no file: read it, pass it through `keelson keys rotate -`, and \
             write what that prints; `keelson keys --help` has an example"
        ))),
        None => Err(Failure::usage(format!(
            "{SHARED} holds the ring itself ({origin}), so nothing can change it while services run: put it into a \
             file and set {SHARED}=file:PATH, or pass it through `keelson keys rotate -`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const RANDOM_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn read(texts: &[(&'static str, &str)]) -> (Layers, Settings) {
        let layers = Layers::of(texts);
        let settings = Settings::read(&layers, Mode::Up, &[]).unwrap();
        (layers, settings)
    }

    #[tokio::test]
    async fn rings_of_settings_are_found_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users");
        fs::write(&file, format!("{{\"k2\": \"{RANDOM_KEY}\", \"k1\": \"test-user-key\"}}\n")).unwrap();
        let reference = format!("file:{}", file.display());
        let (layers, settings) = read(&[("ENCRYPTION_KEY", RANDOM_KEY), ("USER_ENCRYPTION_KEY", &reference)]);
        let found = in_force(&layers, &settings).await.unwrap();
        let shown: Vec<_> = found.iter().map(|it| (it.setting, it.origin.as_str())).collect();
        let at_file = format!("{reference} (environment)");
        assert_eq!(shown, [("ENCRYPTION_KEY", "environment"), ("USER_ENCRYPTION_KEY", at_file.as_str())]);
        assert_eq!(found[0].ring.ids().collect::<Vec<_>>(), ["_tWxBOknfQvrwlG8ilO74g"]);
        assert_eq!(found[1].ring.ids().collect::<Vec<_>>(), ["k2", "k1"]);
    }

    #[tokio::test]
    async fn the_generated_ring_counts_while_no_setting_names_one() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_str().unwrap();
        let (layers, settings) = read(&[("KEELSON_DATA", folder)]);
        assert!(in_force(&layers, &settings).await.unwrap().is_empty());
        let path = default_file(&layers, &settings).unwrap();
        assert_eq!(path, data.path().join("secrets/encryption_key"));
        fs::create_dir(data.path().join("secrets")).unwrap();
        fs::write(path, RANDOM_KEY).unwrap();
        let found = in_force(&layers, &settings).await.unwrap();
        assert!(found[0].origin.ends_with("secrets/encryption_key (generated)"), "{found:?}");

        let (layers, settings) = read(&[("KEELSON_DATA", folder), ("ENCRYPTION_KEY", "{\"k1\": \"my own\"}")]);
        let found = in_force(&layers, &settings).await.unwrap();
        assert_eq!(found[0].ring.ids().collect::<Vec<_>>(), ["k1"]);
    }

    #[tokio::test]
    async fn a_setting_without_a_ring_is_named_and_its_text_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ring");
        fs::write(&file, "{\"k1\": \"secret-of-a-test\"").unwrap();
        let damaged = format!("file:{}", file.display());
        for (text, expected) in [
            (damaged.as_str(), "found a JSON object that is damaged"),
            ("file:/nowhere/key", "ENCRYPTION_KEY=file:/nowhere/key: no secret under"),
        ] {
            let (layers, settings) = read(&[("ENCRYPTION_KEY", text)]);
            let failure = in_force(&layers, &settings).await.unwrap_err();
            let shown = failure.to_string();
            assert!(shown.contains(expected) && failure.is_usage(), "{shown}");
            assert!(!shown.contains("secret-of-a-test"), "{shown}");
        }
    }

    #[test]
    fn a_file_of_the_setting_is_what_is_rotated_and_other_sources_are_left_to_their_owner() {
        let file_of = |text: &str| {
            let (layers, settings) = read(&[("ENCRYPTION_KEY", text)]);
            default_file(&layers, &settings).map_err(|failure| (failure.is_usage(), failure.to_string()))
        };
        assert_eq!(file_of("file:/run/secrets/key").unwrap(), PathBuf::from("/run/secrets/key"));
        for (text, expected) in [
            ("ssm:/keelson/key", "refers to ssm:/keelson/key, which is no file"),
            ("secret-of-a-test", "holds the ring itself (environment)"),
        ] {
            let (is_usage, shown) = file_of(text).unwrap_err();
            assert!(is_usage && shown.contains(expected) && shown.contains("rotate -"), "{shown}");
            assert!(!shown.contains("secret-of-a-test"), "{shown}");
        }
    }
}
