//! The configuration file while services run: what it says of other services counts without a restart.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chassis::client::Callees;
use chassis::config::{ChassisConfig, ConsumerService, Layers, Mistakes, Origin};
use chassis::service::Service;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::settings::known;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
const SETTING: &str = "CONSUMER_SERVICES";

/// Lets the services know where others are as the file says so, unless something stronger does. The first one looks.
pub(crate) fn follow_file(layers: &Layers, said: &[ConsumerService], services: &mut [Service]) {
    let is_of_file = layers.find(SETTING).is_none_or(|(_, origin)| matches!(origin, Origin::File(_)));
    let Some(path) = layers.file().filter(|_| is_of_file).map(Path::to_owned) else { return };
    let callees = services.iter().map(|service| service.callees().clone()).collect();
    let file = File { seen: seen(&path), path, layers: layers.clone(), said: said.to_vec(), callees };
    if let Some(first) = services.first_mut() {
        first.add_worker("configuration-file", |lifecycle| async move {
            lifecycle.draining().run_until_cancelled(file.follow()).await;
        });
    }
}

/// What tells one state of the file from the next.
type Seen = Option<(SystemTime, u64)>;

struct File {
    path: PathBuf,
    seen: Seen,
    layers: Layers,
    /// What it said when it was right last.
    said: Vec<ConsumerService>,
    callees: Vec<Callees>,
}

impl File {
    async fn follow(mut self) -> Infallible {
        loop {
            sleep(INTERVAL).await;
            let (path, layers, before) = (self.path.clone(), self.layers.clone(), self.seen);
            // A file system may hang.
            let looking = tokio::task::spawn_blocking(move || {
                let now = seen(&path);
                (now.is_some() && now != before).then(|| (now, read(&layers)))
            });
            if let Ok(Some((seen, said))) = looking.await {
                self.seen = seen;
                self.take(said);
            }
        }
    }

    fn take(&mut self, said: Result<Vec<ConsumerService>, Mistakes>) {
        let path = self.path.display();
        let said = match said {
            Ok(said) if said == self.said => return,
            Ok(said) => said,
            Err(mistakes) => {
                warn!(%path, cause = %mistakes, "{SETTING} stays as it was: the configuration file is wrong now");
                return;
            }
        };
        for callees in &self.callees {
            if let Err(error) = callees.update(&said) {
                warn!(%path, cause = %error, "a service cannot be called where the configuration file says that it is");
            }
        }
        info!(%path, "{SETTING} has changed, and counts from now on");
        self.said = said;
    }
}

fn read(layers: &Layers) -> Result<Vec<ConsumerService>, Mistakes> {
    ChassisConfig::consumer_services(&layers.read_again(&known())?)
}

fn seen(path: &Path) -> Seen {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
