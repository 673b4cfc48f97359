//! The configuration file: any text is a configuration or a list of mistakes, and neither shows a secret of it.
#![no_main]

use std::io::Write as _;
use std::net::Ipv4Addr;

use chassis::config::{ChassisConfig, Layers, Mistakes, Reader, SETTINGS, SettingInfo, explain};
use libfuzzer_sys::fuzz_target;
use pipeline::config::{ArchiverConfig, IngestConfig};

/// As long as a real token, so that it does not occur by chance.
const TOKEN: &str = "7Jw2qPzX0vLr9sTt";

fuzz_target!(|rest: &[u8]| {
    if rest.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()) {
        return;
    }
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    // The rest closes the quote, or does not.
    file.write_all(&[b"API_TOKEN = \"", TOKEN.as_bytes(), rest].concat()).expect("a writable file");

    let known: Vec<SettingInfo> =
        SETTINGS.iter().chain(pipeline::config::SETTINGS).flat_map(|section| section.settings).copied().collect();
    match Layers::load(&known, Some(file.path()), &[]) {
        Err(mistakes) => hides_the_token(&mistakes.to_string()),
        Ok(layers) => {
            for info in &known {
                hides_the_token(&format!("{:?}", explain(info, &layers)));
            }
            if let Err(mistakes) = read(&layers) {
                assert!(!mistakes.lines().is_empty());
                hides_the_token(&mistakes.to_string());
            }
        }
    }
});

fn read(layers: &Layers) -> Result<(), Mistakes> {
    let mut reader = Reader::new(layers);
    let config = ChassisConfig::read(&mut reader, 2, Ipv4Addr::LOCALHOST);
    let parts = (config, IngestConfig::read(&mut reader), ArchiverConfig::read(&mut reader));
    hides_the_token(&format!("{parts:?}"));
    reader.finish(())
}

fn hides_the_token(text: &str) {
    assert!(!text.contains(TOKEN), "the token is in: {text}");
}
