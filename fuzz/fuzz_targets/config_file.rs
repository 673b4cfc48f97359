//! The configuration file: any text is a configuration or a list of mistakes, and neither shows a secret of it.
#![no_main]

use std::io::Write as _;
use std::net::Ipv4Addr;

use chassis::config::{ChassisConfig, Layers, Mistakes, Reader, SETTINGS, SettingInfo, explain};
use fuzz::{TOKEN, hides_the_token};
use libfuzzer_sys::fuzz_target;
use pipeline::config::{ArchiverConfig, IngestConfig};

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
        Err(mistakes) => hides_the_token(&(mistakes.to_string(), mistakes)),
        Ok(layers) => {
            for info in &known {
                hides_the_token(&explain(info, &layers));
            }
            if let Err(mistakes) = read(&layers) {
                assert!(!mistakes.lines().is_empty());
                hides_the_token(&(mistakes.to_string(), mistakes));
            }
        }
    }
});

fn read(layers: &Layers) -> Result<(), Mistakes> {
    let mut reader = Reader::new(layers);
    let config = ChassisConfig::read(&mut reader, 2, Ipv4Addr::LOCALHOST);
    let parts = (config, IngestConfig::read(&mut reader), ArchiverConfig::read(&mut reader));
    hides_the_token(&parts);
    reader.finish(())
}
