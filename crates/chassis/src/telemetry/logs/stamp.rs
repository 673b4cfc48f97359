//! The time of a line. The date and time of the running second are formatted once and kept.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::tz::Offset;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// Where the time starts in `2025-06-09T10:30:45`.
const TIME_START: usize = 11;

/// The time of a line, ready to be copied.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<i64>,
    date_and_time: Vec<u8>,
    micros: u64,
}

impl Stamp {
    pub(super) fn set(&mut self, now: Timestamp) {
        let micros = now.as_microsecond();
        let second = micros.div_euclid(MICROS_PER_SECOND);
        self.micros = micros.rem_euclid(MICROS_PER_SECOND).unsigned_abs();
        if self.second != Some(second) {
            self.second = Some(second);
            self.format(now);
        }
    }

    fn format(&mut self, now: Timestamp) {
        let at = Offset::UTC.to_datetime(now);
        self.date_and_time.clear();
        let (year, month, day) = (at.year(), at.month(), at.day());
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        // Writing to a Vec cannot fail.
        let _ = write!(self.date_and_time, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    }

    /// RFC 3339 in UTC with microseconds: `2025-06-09T10:30:45.123456Z`.
    pub(super) fn rfc3339(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.date_and_time);
        out.push(b'.');
        padded(out, self.micros, 6);
        out.push(b'Z');
    }

    /// The time in UTC with milliseconds: `10:30:45.123`.
    pub(super) fn time_of_day(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.date_and_time.get(TIME_START..).unwrap_or_default());
        out.push(b'.');
        padded(out, self.micros / 1000, 3);
    }
}

/// Writes `value` with zeros in front to as many as `digits` digits, six at most.
pub(super) fn padded(out: &mut Vec<u8>, value: u64, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value).as_bytes();
    out.extend_from_slice(b"000000".get(..digits.saturating_sub(text.len())).unwrap_or_default());
    out.extend_from_slice(text);
}

/// Writes bytes as lower-case hexadecimal.
pub(super) fn hex<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let pairs = bytes.map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    out.extend_from_slice(pairs.as_flattened());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(stamp: &mut Stamp, text: &str) -> (String, String) {
        stamp.set(text.parse().unwrap());
        let (mut long, mut short) = (Vec::new(), Vec::new());
        stamp.rfc3339(&mut long);
        stamp.time_of_day(&mut short);
        (String::from_utf8(long).unwrap(), String::from_utf8(short).unwrap())
    }

    #[test]
    fn times_are_written_in_utc_with_fixed_width() {
        let mut stamp = Stamp::default();
        for (given, long, short) in [
            ("2025-06-09T10:30:45.123456Z", "2025-06-09T10:30:45.123456Z", "10:30:45.123"),
            ("2025-06-09T10:30:45.000007Z", "2025-06-09T10:30:45.000007Z", "10:30:45.000"),
            ("2025-06-09T12:30:46+02:00", "2025-06-09T10:30:46.000000Z", "10:30:46.000"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z", "23:59:59.500"),
        ] {
            assert_eq!(both(&mut stamp, given), (long.to_owned(), short.to_owned()));
        }
    }
}
