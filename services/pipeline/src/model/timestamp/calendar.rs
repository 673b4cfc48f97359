//! ISO 8601 dates and date-times.

use jiff::civil::{Date, DateTime, ISOWeekDate, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use jiff::{SignedDuration, ToSpan};

use super::{EmailInstant, InvalidTimestamp};

const MAX_FRACTION_DIGITS: usize = 9;
/// ISO 8601 counts the hours of an offset as those of a day; jiff takes a little more.
const MAX_OFFSET_SECONDS: i32 = 24 * 60 * 60 - 1;

pub(super) fn parse(text: &str) -> Result<EmailInstant, InvalidTimestamp> {
    // jiff also takes RFC 9557's `[Europe/Berlin]`, which is not ISO 8601.
    if text.contains('[') {
        return Err(InvalidTimestamp);
    }
    let (date, time) = text.split_at(text.find(['T', 't', ' ']).unwrap_or(text.len()));
    let date = parse_date(date).ok_or(InvalidTimestamp)?;
    if time.is_empty() {
        return EmailInstant::new(date.to_datetime(Time::midnight()));
    }
    let utc = parse_time(date, time).ok_or(InvalidTimestamp)?;
    EmailInstant::new(utc)
}

/// A calendar date, a week date (`2025-W24-1`, its Monday when the day is left out), or an ordinal date (`2025-160`).
fn parse_date(text: &str) -> Option<Date> {
    let (digits, dashes) = (text.bytes().filter(u8::is_ascii_digit).count(), text.matches('-').count());
    if text.contains(['W', 'w']) {
        let monday = match (digits, dashes) {
            (6, 0) => "1",
            (6, 1) => "-1",
            _ => "",
        };
        return format!("{text}{monday}").parse::<ISOWeekDate>().ok()?.date().into();
    }
    match (text.len(), digits, text.as_bytes().get(4)) {
        (7, 7, _) => Date::strptime("%Y%j", text).ok(),
        (8, 7, Some(b'-')) => Date::strptime("%Y-%j", text).ok(),
        _ => text.parse().ok(),
    }
}

/// The time of a date, `T` or space first, in UTC.
fn parse_time(date: Date, time: &str) -> Option<DateTime> {
    let time = clip_fraction(time);
    // Midnight at the end of a day, which jiff does not know.
    let (separator, rest) = time.split_at_checked(1)?;
    let end_of_day = rest.strip_prefix("24").map(|rest| format!("{separator}00{rest}"));
    let (time, days) = end_of_day.as_ref().map_or((&time, 0), |time| (time, 1));

    let text = format!("{date}{time}");
    let pieces = Pieces::parse(&text).ok()?;
    let clock = pieces.time()?;
    if days > 0 && clock != Time::midnight() {
        return None;
    }
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    if offset.seconds().abs() > MAX_OFFSET_SECONDS {
        return None;
    }
    let east_of_utc = SignedDuration::from_secs(offset.seconds().into());
    date.to_datetime(clock).checked_sub(east_of_utc).ok()?.checked_add(days.days()).ok()
}

/// Drops the digits beyond the nanosecond, at which jiff stops.
fn clip_fraction(time: &str) -> String {
    let Some((before, after)) = time.find(['.', ',']).map(|mark| time.split_at(mark + 1)) else {
        return time.to_owned();
    };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    format!("{before}{}{}", &after[..digits.min(MAX_FRACTION_DIGITS)], &after[digits..])
}
