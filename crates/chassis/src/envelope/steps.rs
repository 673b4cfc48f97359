//! A rotation in three steps, so that services which are one step apart refuse nothing of each other.
//!
//! Which step is next follows from the text alone, whoever did the one before: keys that a rotation makes have ids that
//! tell when, and of two keys the newer one is on its way in.

use std::fmt;
use std::num::NonZeroU16;

use jiff::{SignedDuration, Timestamp};

use super::ring_text::NamedKey;
use super::{KEY_BYTES, KeyRingError, RingText};

/// How the time stands in an id: as ISO 8601 has it, without characters that an id cannot have. Sorts by time.
const TIME: &str = "%Y%m%dT%H%M%SZ";
const PREFIX: &str = "k-";

/// What the next change of a ring is. Each one waits until all services have read the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationStep {
    /// A new key comes second. It decrypts, and nobody encrypts with it yet.
    Add,
    /// The new key comes first and encrypts. The old one still decrypts what others send who have not read this.
    Promote,
    /// The old key goes. Nobody encrypts with it any more.
    Remove,
}

impl RotationStep {
    /// Steps of a rotation.
    pub const COUNT: u8 = 3;

    /// Its place among them, from 1.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Add => 1,
            Self::Promote => 2,
            Self::Remove => 3,
        }
    }
}

/// Why a text has no next step, and what to do by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRotatable {
    /// More than two keys.
    #[error(
        "the ring has {} keys, {}, and a rotation goes from one to two and back: take out by hand the older ones that \
         no service encrypts with any more, until one is left, or two with the one first that encrypts",
        .0.len(),
        .0.join(", ")
    )]
    TooMany(Vec<String>),
    /// Two keys, and neither is dated.
    #[error(
        "the ids {first} and {second} do not say which of the two keys is newer, so this is for you to do by hand: if \
         {second} is newer, put it first, and take {first} out once every service has read that; if {first} is newer, \
         take {second} out once no service encrypts with it"
    )]
    Undated {
        /// The key that encrypts.
        first: String,
        /// The other one.
        second: String,
    },
    /// The key that would encrypt next is no random one.
    #[error(
        "the key {0} is not 32 bytes in base64, so services could not encrypt with it: take it out by hand, and the \
         next step adds another one"
    )]
    NotRandom(String),
    /// The random bytes are those of a key that is there.
    #[error(transparent)]
    NewKey(#[from] KeyRingError),
}

impl RingText {
    /// An id that tells when its key was made, such as `k-20261122T170500Z`.
    #[must_use]
    pub fn dated_id(now: Timestamp) -> String {
        DatedId::at(now).to_string()
    }

    /// What [`RingText::rotate`] would do.
    ///
    /// # Errors
    /// Why the keys do not tell.
    pub fn next_step(&self) -> Result<RotationStep, NotRotatable> {
        match self.keys.as_slice() {
            [_] => Ok(RotationStep::Add),
            [first, second] => step_of(first, second),
            _ => Err(NotRotatable::TooMany(self.ids().map(str::to_owned).collect())),
        }
    }

    /// The ring after its next step. `random`, from the operating system's source of randomness, becomes a key when
    /// that step adds one.
    ///
    /// # Errors
    /// Why there is no next step.
    pub fn rotate(&self, now: Timestamp, random: &[u8; KEY_BYTES]) -> Result<Self, NotRotatable> {
        let mut keys = self.keys.clone();
        match self.next_step()? {
            RotationStep::Add => keys.push(NamedKey::random(self.new_id(now), random)),
            RotationStep::Promote => keys.reverse(),
            RotationStep::Remove => keys.truncate(1),
        }
        Ok(Self { keys }.checked()?)
    }

    /// Later than every other id of the ring, even when the clock was turned back since, or two are made in a second.
    fn new_id(&self, now: Timestamp) -> String {
        let latest = self.ids().filter_map(DatedId::parse).max();
        let wanted = DatedId::at(now);
        latest.filter(|latest| *latest >= wanted).map_or(wanted, DatedId::next).to_string()
    }
}

/// A key without a date is older than any with one: a rotation dates the keys that it makes.
fn step_of(first: &NamedKey, second: &NamedKey) -> Result<RotationStep, NotRotatable> {
    let (first_date, second_date) = (DatedId::parse(&first.id), DatedId::parse(&second.id));
    if first_date.is_none() && second_date.is_none() {
        return Err(NotRotatable::Undated { first: first.id.clone(), second: second.id.clone() });
    }
    if first_date > second_date {
        return Ok(RotationStep::Remove);
    }
    if second.is_random { Ok(RotationStep::Promote) } else { Err(NotRotatable::NotRandom(second.id.clone())) }
}

/// The id of a key that a rotation made: when, and which one of that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct DatedId {
    second: Timestamp,
    number: NonZeroU16,
}

impl DatedId {
    fn at(now: Timestamp) -> Self {
        // Whole seconds: the text has no more.
        Self { second: Timestamp::from_second(now.as_second()).unwrap_or(now), number: NonZeroU16::MIN }
    }

    /// Only what would be written like this: nothing else was made by a rotation.
    fn parse(id: &str) -> Option<Self> {
        let rest = id.strip_prefix(PREFIX)?;
        let (time, number) = rest.split_once('-').unwrap_or((rest, "1"));
        let dated = Self { second: time.parse().ok()?, number: number.parse().ok()? };
        (dated.to_string() == id).then_some(dated)
    }

    fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self { number, ..self },
            None => Self::at(self.second.checked_add(SignedDuration::from_secs(1)).unwrap_or(self.second)),
        }
    }
}

impl fmt::Display for DatedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.second.strftime(TIME))?;
        if self.number == NonZeroU16::MIN { Ok(()) } else { write!(f, "-{}", self.number) }
    }
}
