//! `keelson openapi`: the document that `/openapi.json` serves.

use chassis::http::openapi;

use super::process::context;
use crate::cli::{Common, ListenArgs, OpenapiArgs};
use crate::failure::Failure;
use crate::output::print_line;
use crate::settings::{self, Mode, Settings};
use crate::wire;

/// Prints the document.
pub(crate) fn run(common: &Common, args: &OpenapiArgs) -> Result<(), Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let settings = Settings::read(&layers, Mode::Up, &[args.service])?;
    let document = openapi(wire::describe(args.service, &settings, &context(&settings))?);
    let text = document.to_pretty_json().map_err(|error| Failure::failed(error.to_string()))?;
    print_line(&text);
    Ok(())
}
