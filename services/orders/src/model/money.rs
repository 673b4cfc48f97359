//! Amounts of money, exact to the last digit.

use std::fmt;
use std::iter::Sum;

use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;

/// The highest price.
const MAX_PRICE: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
/// Digits of the highest price before the point.
const MAX_DIGITS: i64 = 10;
/// Digits of a price behind the point.
const DECIMALS: i64 = 4;

/// An amount of money, never negative. What its currency is, is not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(Decimal);

/// A JSON number as it was written (RFC 8259, section 6). Read into a float it would be another number.
///
/// Reads from JSON alone.
#[derive(Debug, Clone)]
pub struct WrittenNumber(Box<RawValue>);

/// Why a number is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoPrice {
    /// Below 0.
    #[error("Input should be greater than or equal to 0")]
    Negative,
    /// Above 10⁹.
    #[error("Input should be less than or equal to {MAX_PRICE}")]
    TooHigh,
    /// More than four decimals.
    #[error("Decimal input should have no more than {DECIMALS} decimal places")]
    TooFine,
}

impl Money {
    /// A price: 0 to 10⁹ with four decimals at most, in whatever way it is written.
    ///
    /// # Errors
    /// [`NoPrice`].
    pub fn price(written: &WrittenNumber) -> Result<Self, NoPrice> {
        let text = written.0.get();
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (significand, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = significand.split_once('.').unwrap_or((significand, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return Ok(Self::default());
        }
        if is_negative {
            return Err(NoPrice::Negative);
        }
        // The number is `digits` · 10^exponent.
        let trailing_zeros = all.len() - all.trim_end_matches('0').len();
        let exponent = read_exponent(exponent) - to_i64(fraction.len()) + to_i64(trailing_zeros);
        if to_i64(digits.len()) + exponent > MAX_DIGITS {
            return Err(NoPrice::TooHigh);
        }
        if exponent < -DECIMALS {
            return Err(NoPrice::TooFine);
        }
        let units = digits.parse().map_err(|_| NoPrice::TooHigh)?;
        let price = match u32::try_from(exponent) {
            Ok(zeros) => Decimal::from(10_i64.saturating_pow(zeros).saturating_mul(units)),
            Err(_) => Decimal::new(units, u32::try_from(-exponent).unwrap_or_default()),
        };
        if price > MAX_PRICE { Err(NoPrice::TooHigh) } else { Ok(Self(price)) }
    }

    /// So many of it. An order's items are so bounded that a total has 23 digits at most, of the 28 that there are.
    #[must_use]
    pub fn times(self, quantity: u32) -> Self {
        Self(self.0.saturating_mul(quantity.into()))
    }
}

/// Bounded, so that sums with it cannot overflow: no number of a body has as many digits.
fn read_exponent(text: &str) -> i64 {
    const BOUND: i64 = 1 << 40;
    let beyond = if text.starts_with('-') { -BOUND } else { BOUND };
    text.parse().map_or(beyond, |exponent: i64| exponent.clamp(-BOUND, BOUND))
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.fold(Decimal::ZERO, |sum, Self(amount)| sum.saturating_add(amount)))
    }
}

impl fmt::Display for Money {
    /// Without zeros at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl Serialize for Money {
    /// As a JSON number with all its digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    /// Reads prices from JSON alone.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::price(&WrittenNumber::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for WrittenNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Box::<RawValue>::deserialize(deserializer)?;
        let is_number = written.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        if is_number { Ok(Self(written)) } else { Err(D::Error::custom("expected a number")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(written: &str) -> Result<String, NoPrice> {
        Money::price(&serde_json::from_str(written).unwrap()).map(|price| price.to_string())
    }

    #[test]
    fn a_price_is_the_number_that_was_written() {
        for (written, exact) in [
            ("999.99", "999.99"),
            ("0.1", "0.1"),
            ("0", "0"),
            ("-0.0", "0"),
            ("0e999999999999999999999", "0"),
            ("1000000000", "1000000000"),
            ("1000000000.0000", "1000000000"),
            ("999999999.9999", "999999999.9999"),
            ("0.0001", "0.0001"),
            ("10.50", "10.5"),
            ("1e9", "1000000000"),
            ("1.5E+2", "150"),
            ("12345e-4", "1.2345"),
            ("0.00001e1", "0.0001"),
            ("100000000000000000000000000000000000000000e-40", "10"),
            ("1.00000000000000000000000000000000000000000000", "1"),
        ] {
            assert_eq!(price(written).as_deref(), Ok(exact), "{written}");
        }
    }

    #[test]
    fn what_is_no_price_breaks_one_rule() {
        for (written, rule) in [
            ("-0.01", NoPrice::Negative),
            ("-1e400", NoPrice::Negative),
            ("1000000000.0001", NoPrice::TooHigh),
            ("1e10", NoPrice::TooHigh),
            ("9999999999", NoPrice::TooHigh),
            ("1e99999999999999999999", NoPrice::TooHigh),
            ("0.00001", NoPrice::TooFine),
            ("1.00001", NoPrice::TooFine),
            ("1e-99999999999999999999", NoPrice::TooFine),
            ("0.1000000000000000055511151231257827", NoPrice::TooFine),
        ] {
            assert_eq!(price(written), Err(rule), "{written}");
        }
        for other in ["\"999.99\"", "null", "true", "[1]", "{}"] {
            let error = serde_json::from_str::<WrittenNumber>(other).unwrap_err();
            assert!(error.to_string().contains("expected a number"), "{other}: {error}");
        }
    }

    #[test]
    fn three_times_a_tenth_is_three_tenths() {
        let tenth: Money = serde_json::from_str("0.1").unwrap();
        assert_eq!(serde_json::to_string(&tenth.times(3)).unwrap(), "0.3");
        assert_eq!([tenth; 3].into_iter().sum::<Money>(), tenth.times(3));
    }

    proptest! {
        /// Counted in ten-thousandths, which is how one would do it without decimals.
        #[test]
        fn a_price_reads_back_from_its_digits(units in 0_i64..=10_000_000_000_000, zeros in 0_usize..3) {
            let written = format!("{}.{:04}{}", units / 10_000, units % 10_000, "0".repeat(zeros));
            let found: Money = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(found, Money(Decimal::new(units, 4)));
            let again: Money = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
            prop_assert_eq!(again, found);
            let shifted: Money = serde_json::from_str(&format!("{units}e-4")).unwrap();
            prop_assert_eq!(shifted, found);
        }
    }
}
