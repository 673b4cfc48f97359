//! What is said of a rotation: ids, and never a key.

use chassis::envelope::{NotRotatable, RingText, RotationStep};

/// When a ring has reached every service.
pub(super) const WHEN_READ: &str =
    "once every service has read this one: within 5 s where a setting refers to a file, else within 5 minutes";

/// Ids of a ring in words: the first, and the second if there is one.
fn first_and_second(ring: &RingText) -> (&str, &str) {
    let mut ids = ring.ids();
    (ids.next().unwrap_or_default(), ids.next().unwrap_or_default())
}

fn place(step: RotationStep) -> String {
    format!("step {} of {}", step.number(), RotationStep::COUNT)
}

/// What the next step of a ring is.
pub(super) fn next(ring: &RingText) -> Result<String, NotRotatable> {
    let step = ring.next_step()?;
    let (first, second) = first_and_second(ring);
    let does = match step {
        RotationStep::Add => "adds a key that decrypts".to_owned(),
        RotationStep::Promote => format!("lets {second} encrypt"),
        RotationStep::Remove => format!("takes {second} out, and {first} stays"),
    };
    Ok(format!("{} {does}", place(step)))
}

/// What a step did that made one ring of another.
pub(super) fn done(step: RotationStep, before: &RingText, after: &RingText) -> String {
    let (first, second) = first_and_second(after);
    let did = match step {
        RotationStep::Add => format!("{second} is new and decrypts; {first} encrypts"),
        RotationStep::Promote => format!("{first} encrypts; {second} still decrypts"),
        RotationStep::Remove => {
            let (_stays, gone) = first_and_second(before);
            format!("{gone} is gone; {first} is the only key, and the rotation is complete")
        }
    };
    format!("{}: {did}", place(step))
}
