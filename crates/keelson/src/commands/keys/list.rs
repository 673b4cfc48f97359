//! `keelson keys list`: what each key of a ring is for, and what comes next.

use backends::local::SecretFile;
use chassis::envelope::{NamedKey, RingText, RotationStep};
use serde_json::{Value, json};

use super::{is_stdin, read_stdin, rings, told};
use crate::cli::{Common, ListArgs};
use crate::failure::Failure;
use crate::output::{print_line, printable};

/// A ring, and what is said above it.
struct Shown {
    setting: Option<&'static str>,
    origin: String,
    ring: RingText,
}

pub(super) async fn run(common: &Common, args: &ListArgs) -> Result<(), Failure> {
    let rings = find(common, args).await?;
    if args.json {
        print_line(&json!({ "rings": rings.iter().map(to_json).collect::<Vec<_>>() }).to_string());
        return Ok(());
    }
    if rings.is_empty() {
        print_line("no keys: no setting names any, and nothing has generated some in the data folder");
    }
    for (index, shown) in rings.iter().enumerate() {
        if index > 0 {
            print_line("");
        }
        show(shown);
    }
    Ok(())
}

async fn find(common: &Common, args: &ListArgs) -> Result<Vec<Shown>, Failure> {
    let Some(file) = &args.file else {
        let (layers, settings) = rings::load(common)?;
        let found = rings::in_force(&layers, &settings).await?;
        let shown = found.into_iter().map(|it| Shown { setting: Some(it.setting), origin: it.origin, ring: it.ring });
        return Ok(shown.collect());
    };
    if is_stdin(file) {
        return Ok(vec![Shown { setting: None, origin: "standard input".to_owned(), ring: read_stdin().await? }]);
    }
    let origin = printable(&file.display().to_string());
    let ring = RingText::parse(&SecretFile::read(file)?);
    let ring = ring.map_err(|error| Failure::usage(format!("{origin}: {error}")))?;
    Ok(vec![Shown { setting: None, origin, ring }])
}

fn show(shown: &Shown) {
    let Shown { setting, origin, ring } = shown;
    print_line(&setting.map_or_else(|| origin.clone(), |setting| format!("{setting}  {origin}")));
    let width = ring.ids().map(str::len).max().unwrap_or_default();
    print_line(&format!("{:<width$}  {:<20}  KIND", "KEY", "USE"));
    for (index, key) in ring.keys().iter().enumerate() {
        let used = if index == 0 { "encrypts, decrypts" } else { "decrypts" };
        print_line(&format!("{:<width$}  {used:<20}  {}", key.id(), kind(key).1));
    }
    match told::next(ring) {
        Ok(next) => print_line(&format!("next: {next}")),
        Err(problem) => print_line(&format!("next: by hand: {problem}")),
    }
}

/// For programs, and for people.
fn kind(key: &NamedKey) -> (&'static str, &'static str) {
    if key.is_random() { ("random", "random: v2, GCM, Fernet") } else { ("text", "text: GCM, Fernet") }
}

fn to_json(shown: &Shown) -> Value {
    let keys =
        shown.ring.keys().iter().enumerate().map(
            |(index, key)| json!({ "id": key.id(), "encrypts": index == 0, "decrypts": true, "kind": kind(key).0 }),
        );
    let next = shown.ring.next_step();
    json!({
        "setting": shown.setting,
        "origin": shown.origin,
        "keys": keys.collect::<Vec<_>>(),
        "next_step": next.as_ref().ok().map(|step| name(*step)),
        "problem": next.err().map(|problem| problem.to_string()),
    })
}

fn name(step: RotationStep) -> &'static str {
    match step {
        RotationStep::Add => "add",
        RotationStep::Promote => "promote",
        RotationStep::Remove => "remove",
    }
}
