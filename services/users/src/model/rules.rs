//! What each field of a user may be.

use std::ops::RangeInclusive;

/// Characters of a name.
pub(super) const NAME: RangeInclusive<usize> = 1..=200;
/// Characters of the name of somebody who logs in with it.
pub(super) const USERNAME: RangeInclusive<usize> = 3..=MAX_USERNAME_CHARS;
/// Characters of the longest username.
pub const MAX_USERNAME_CHARS: usize = 50;
/// Years of age.
const AGE: RangeInclusive<i64> = 0..=150;

/// Years of age that are within bounds.
pub(super) fn age(rules: &mut chassis::validation::Rules, age: i64) -> Option<u8> {
    rules.number("age", age, AGE);
    u8::try_from(age).ok()
}
