//! The token that ingest asks for, as a command finds it.

use secrecy::SecretString;

use crate::failure::Failure;
use crate::run_file::RunFile;
use crate::settings::Settings;
use crate::wire;

/// The token that the running system generated, or the one that is set.
pub(super) async fn of_running(settings: &Settings, running: &RunFile) -> Result<SecretString, Failure> {
    if let Some(file) = &running.api_token_file {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::unavailable(format!("{} cannot be read: {error}", file.display())))?;
        return Ok(text.trim().into());
    }
    let set = of_settings(settings).await?;
    set.ok_or_else(|| Failure::usage("the running system has an API_TOKEN of its own: set API_TOKEN to the same"))
}

/// The token that is set, or that the reference leads to.
pub(super) async fn of_settings(settings: &Settings) -> Result<Option<SecretString>, Failure> {
    let Some(set) = &settings.ingest.api_token else { return Ok(None) };
    match wire::secret_sources(&settings.aws).reference(set) {
        Some((source, reference)) => {
            let fetched = source.fetch(&reference.name).await;
            fetched.map(Some).map_err(|error| Failure::unavailable(error.to_string()))
        }
        None => Ok(Some(set.clone())),
    }
}
