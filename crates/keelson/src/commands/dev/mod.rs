//! `keelson dev`: runs services from their sources. It owns the sockets; each build is a process of its own that takes
//! them over from the one before (`child`), which is also what systemd does for a unit with a socket.
//!
//! `supervisor` is the order of things; `watch` tells of edits, `build` runs cargo, `program` keeps what was built, `ending`
//! is how all of it ends.

mod build;
mod child;
mod console;
mod ending;
mod program;
mod supervisor;
mod watch;
mod workspace;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use chassis::config::{FromText, Layers, OptionalSetting, Reader, Section};
use chassis::run::{InheritedSockets, Ports, take_ports};

use self::build::Builder;
use self::child::Launcher;
use self::program::Programs;
use self::supervisor::Supervisor;
use self::watch::{Sources, Watch};
use self::workspace::Workspace;
use crate::cli::{Common, DevArgs, ServiceName};
use crate::failure::Failure;
use crate::settings::{self, Mode, Settings};

const DEV_POLL: OptionalSetting<Duration> = OptionalSetting::new(
    "KEELSON_DEV_POLL",
    "How often `keelson dev` looks for edits, such as `1s`, where the system does not tell of them: folders that a container gets from macOS, Windows or a network. Default: it is told. Also `--poll`.",
);
/// For the printed reference.
pub(crate) const SETTINGS: Section = Section { title: "Development", settings: &[DEV_POLL.info] };

/// Builds, runs and replaces until a signal.
pub(crate) async fn run(common: &Common, args: &DevArgs) -> Result<ExitCode, Failure> {
    let layers = settings::load(common, &args.listen, None)?;
    let poll = poll_interval(&layers, args)?;
    let (mode, services) = match args.services.as_slice() {
        [] => (Mode::Up, ServiceName::ALL.to_vec()),
        named => (Mode::Serve, ServiceName::in_order(named)),
    };
    let settings = Settings::read(&layers, mode, &services)?;
    if settings.chassis.production {
        return Err(Failure::usage(
            "PRODUCTION=true: expected false, since `keelson dev` runs what was just edited; in production use `keelson serve`",
        ));
    }
    let workspace = Workspace::find(args.build.is_none()).await?;
    let programs = Programs::open(&workspace.target)?;
    let ports = take_ports(&settings.chassis, &settings.wanted_ports(&services), InheritedSockets::none())?;
    let sockets = ports.into_iter().map(Ports::into_sockets).collect::<Result<Vec<_>, _>>();
    let sockets = sockets.map_err(|error| Failure::failed(format!("the sockets cannot be handed over: {error}")))?;
    let launcher = Launcher::new(arguments(common, args), sockets.into_iter().flatten().collect())?;
    let written = [Some(settings.data.as_path()), settings.chassis.logs.dir.as_deref()];
    let watch = Watch::start(Sources::of(&workspace, written.into_iter().flatten()), poll)?;
    let builder = Builder::new(args.build.clone().zip(args.executable.clone()), &args.options);
    let grace = settings.chassis.lifetimes.shutdown_grace;
    Supervisor::new((builder, grace), watch, programs, launcher, &workspace).run().await
}

fn poll_interval(layers: &Layers, args: &DevArgs) -> Result<Option<Duration>, Failure> {
    let mut reader = Reader::new(layers);
    let configured = reader.get_optional(&DEV_POLL);
    let configured = reader.finish(configured)?;
    let interval = match &args.poll {
        None => configured,
        Some(text) => {
            let wrong = || Failure::usage(format!("--poll {text}: expected {}", Duration::EXPECTED));
            Some(Duration::from_text(text).ok_or_else(wrong)?)
        }
    };
    if interval.is_some_and(|interval| interval.is_zero()) {
        return Err(Failure::usage("--poll (KEELSON_DEV_POLL): expected more than 0, such as `1s`"));
    }
    Ok(interval)
}

/// What the services are started with: the command that `dev` stands for, and the flags that `dev` was given.
fn arguments(common: &Common, args: &DevArgs) -> Vec<OsString> {
    let names = args.services.iter().filter_map(clap::ValueEnum::to_possible_value);
    let mut arguments: Vec<OsString> = match args.services.as_slice() {
        [] => vec!["up".into()],
        _ => [OsString::from("serve")].into_iter().chain(names.map(|name| name.get_name().into())).collect(),
    };
    arguments.push("--stop-with-stdin".into());
    let mut flag =
        |name: &str, value: Option<OsString>| arguments.extend(value.map(|it| [name.into(), it]).into_iter().flatten());
    let path = |path: &PathBuf| path.as_os_str().to_owned();
    flag("--host", args.listen.host.map(|host| host.to_string().into()));
    flag("--data", common.data.as_ref().map(path));
    flag("--config", common.config.as_ref().map(path));
    arguments
}

/// As messages show it: below the root of the workspace.
fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
