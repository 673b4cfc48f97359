//! `email_timestream`: one instant in any of the forms that senders use.
//!
//! ISO 8601 is read by jiff, whose parser wants a calendar date; the other date forms are turned into one here, see
//! `calendar`. Numbers are ticks since an epoch, see `ticks`. Not taken, since they name no instant or need
//! an agreement with the sender: dates without a day (`2025-06`), fractions of hours or minutes, time zone names.

use std::fmt;

use jiff::civil::DateTime;
use serde_json::value::RawValue;
use thiserror::Error;

use super::json_object::text_of;

mod calendar;
mod ticks;

/// No timestamp is longer, and work on a text stays small.
const MAX_BYTES: usize = 64;

/// The text is no timestamp that ingest takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("neither an ISO 8601 date nor a tick number of the years 0 to 9999")]
pub struct InvalidTimestamp;

/// A moment in UTC, year 0 to the end of year 9999, to the nanosecond. Prints as RFC 3339 with `Z`.
///
/// `jiff::Timestamp` ends on 9999-12-30T22:00Z and so lacks the last day, which many systems send for "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EmailInstant(DateTime);

impl EmailInstant {
    fn new(utc: DateTime) -> Result<Self, InvalidTimestamp> {
        // jiff ends with year 9999 itself.
        if utc.year() < 0 { Err(InvalidTimestamp) } else { Ok(Self(utc)) }
    }
}

impl fmt::Display for EmailInstant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.0)
    }
}

/// Reads the value of `email_timestream`: a string by [`parse_text`], a number as ticks.
///
/// # Errors
/// [`InvalidTimestamp`], for every other JSON value too.
pub fn parse_email_timestream(value: &RawValue) -> Result<EmailInstant, InvalidTimestamp> {
    let raw = value.get();
    if raw.starts_with(|first: char| first.is_ascii_digit()) && raw.len() <= MAX_BYTES {
        return ticks::parse(raw);
    }
    parse_text(&text_of(value).ok_or(InvalidTimestamp)?)
}

/// Reads an ISO 8601 date or date-time, or ticks in digits. Exactly eight digits are a date. Without an offset the
/// time is UTC, without a time it is midnight; digits beyond the nanosecond are dropped; a leap second counts as the
/// second before it.
///
/// # Errors
/// [`InvalidTimestamp`].
pub fn parse_text(text: &str) -> Result<EmailInstant, InvalidTimestamp> {
    if text.len() > MAX_BYTES {
        return Err(InvalidTimestamp);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && text.len() != "20250609".len() { ticks::parse(text) } else { calendar::parse(text) }
}

#[cfg(test)]
mod tests;
