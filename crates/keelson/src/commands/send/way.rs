//! The two ways to the queue: through the service, or straight when nothing runs.

use super::post::Reply;
use super::service::Service;
use super::target::{Target, target_name};
use super::waiting::Waiting;
use crate::cli::{Common, ListenArgs};
use crate::commands::system::{self, System};
use crate::failure::Failure;
use crate::settings::{self, Mode, Settings};

/// Where messages go.
#[derive(Debug)]
pub(super) enum Way {
    Service(Service),
    Queue(Waiting),
}

impl Way {
    /// To the address that is named, the system that runs on the data folder, or the queue of the one that has stopped.
    pub(super) async fn find(common: &Common, url: Option<&str>) -> Result<Self, Failure> {
        let layers = settings::load(common, &ListenArgs::default(), None)?;
        let settings = Settings::read(&layers, Mode::Up, &[])?;
        let target = match url {
            Some(url) => Target::at(url, &settings).await?,
            None => match system::find(&layers).await? {
                System::Running(running) => Target::of_running(&running, &settings).await?,
                System::Stopped(stopped) => return Ok(Self::Queue(Waiting::new(*stopped))),
            },
        };
        Service::reach(target, &settings.chassis.tls).await.map(Self::Service)
    }

    /// What stays the same when the system is started again.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Service(service) => &service.target.name,
            Self::Queue(waiting) => &waiting.name,
        }
    }

    /// The address, or the folder.
    pub(super) fn shown(&self) -> &str {
        match self {
            Self::Service(service) => &service.target.url,
            Self::Queue(waiting) => &waiting.name,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Service(_))
    }

    pub(super) async fn send(&self, data: &str) -> Reply {
        match self {
            Self::Service(service) => service.send(data).await,
            Self::Queue(waiting) => waiting.send(data).await,
        }
    }
}

/// The name of the way that would be found, whether anything runs or not.
pub(super) fn name(common: &Common, url: Option<&str>) -> Result<String, Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    target_name(url, &settings::data_folder(&layers))
}
