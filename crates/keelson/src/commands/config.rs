//! `keelson config`: what is in force, where it comes from, and the reference.

use chassis::config::{Explained, env_file, explain, reference};
use serde_json::{Map, Value, json};

use crate::cli::{Common, ConfigArgs, ConfigCommand, ListenArgs};
use crate::failure::Failure;
use crate::output::{print, print_line};
use crate::settings::{self, known, sections};

/// Shows settings.
pub(crate) fn run(common: &Common, args: &ConfigArgs) -> Result<(), Failure> {
    let name = match &args.command {
        Some(ConfigCommand::Reference { env }) => {
            let print_as = if *env { env_file } else { reference };
            print(&print_as(&sections()));
            return Ok(());
        }
        Some(ConfigCommand::Explain { name }) => Some(name.to_ascii_uppercase()),
        None => None,
    };
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let mut explained = known().into_iter().map(|info| explain(&info, &layers));
    match name {
        None => show_all(explained.collect(), args.json),
        Some(name) => match explained.find(|it| it.name == name) {
            Some(it) => show_one(&it, args.json),
            None => return Err(unknown(&name)),
        },
    }
    Ok(())
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = known().iter().map(|info| info.name).collect();
    let near: Vec<&str> = names.iter().copied().filter(|it| name.split('_').any(|word| it.contains(word))).collect();
    let listed = if near.is_empty() { names } else { near };
    Failure::usage(format!("there is no setting {name}; there are: {}", listed.join(", ")))
}

fn show_all(explained: Vec<Explained>, as_json: bool) {
    if as_json {
        let all: Map<String, Value> = explained.iter().map(|it| (it.name.to_owned(), to_json(it))).collect();
        print_line(&Value::Object(all).to_string());
        return;
    }
    for it in explained {
        print_line(&format!("{:<22} {:<28} {}", it.name, it.value.as_deref().unwrap_or("(unset)"), it.origin));
    }
}

fn show_one(it: &Explained, as_json: bool) {
    if as_json {
        print_line(&to_json(it).to_string());
        return;
    }
    print_line(&format!(
        "{}\n  value    {}\n  origin   {}\n  default  {}\n\n  {}",
        it.name,
        it.value.as_deref().unwrap_or("(unset)"),
        it.origin,
        it.default.unwrap_or("(unset)"),
        it.doc
    ));
}

fn to_json(it: &Explained) -> Value {
    json!({ "value": it.value, "origin": it.origin.to_string(), "default": it.default, "meaning": it.doc })
}
