//! Numbers: how many seconds, milliseconds, microseconds, nanoseconds or .NET ticks since the epoch. The size of the
//! number tells the unit: for the dates of e-mails the ranges lie orders of magnitude apart.

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

use super::{EmailInstant, InvalidTimestamp, MAX_BYTES};

const UNIX_EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
const DOTNET_EPOCH: DateTime = date(1, 1, 1).at(0, 0, 0, 0);
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A decimal number of at least zero, exact to nine places.
struct Decimal {
    whole: u128,
    billionths: u128,
}

/// Reads a JSON number, or digits. A sign is refused, that of `-0` too.
pub(super) fn parse(text: &str) -> Result<EmailInstant, InvalidTimestamp> {
    let ticks = parse_decimal(text).ok_or(InvalidTimestamp)?;
    let utc = instant(&ticks).ok_or(InvalidTimestamp)?;
    EmailInstant::new(utc)
}

/// Senders print large numbers as `1.718e+18`, and a double would lose their last digits: the point is moved in the
/// text instead.
fn parse_decimal(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // No instant needs more, and the zeros below stay few.
    let exponent = exponent.parse::<isize>().ok().filter(|e| e.unsigned_abs() <= MAX_BYTES)?;
    let zeros = "0".repeat(exponent.unsigned_abs());
    let (digits, point) = if exponent < 0 {
        (format!("{zeros}{digits}"), whole.len())
    } else {
        (format!("{digits}{zeros}"), whole.len() + exponent.unsigned_abs())
    };
    let (whole, fraction) = digits.split_at_checked(point)?;
    // More digits than a u128 holds are an error here, not an overflow.
    Some(Decimal { whole: whole.parse().ok()?, billionths: format!("{fraction:0<9.9}").parse().ok()? })
}

fn instant(ticks: &Decimal) -> Option<DateTime> {
    let (epoch, nanos_per_tick) = match ticks.whole {
        0..100_000_000_000 => (UNIX_EPOCH, NANOS_PER_SECOND),
        100_000_000_000..100_000_000_000_000 => (UNIX_EPOCH, 1_000_000),
        100_000_000_000_000..100_000_000_000_000_000 => (UNIX_EPOCH, 1_000),
        620_000_000_000_000_000..=700_000_000_000_000_000 => (DOTNET_EPOCH, 100),
        _ => (UNIX_EPOCH, 1),
    };
    let nanos_of_fraction = ticks.billionths * nanos_per_tick / NANOS_PER_SECOND;
    let nanos = ticks.whole.checked_mul(nanos_per_tick)?.checked_add(nanos_of_fraction)?;
    let seconds = i64::try_from(nanos / NANOS_PER_SECOND).ok()?;
    let subsecond = i32::try_from(nanos % NANOS_PER_SECOND).ok()?;
    epoch.checked_add(SignedDuration::new(seconds, subsecond)).ok()
}
