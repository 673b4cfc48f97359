//! Spreads of ratios.

use std::fmt;

/// The tenth, fiftieth and ninetieth percentile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) p10: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

impl Spread {
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self { p10: quantile(&sorted, 0.1), median: quantile(&sorted, 0.5), p90: quantile(&sorted, 0.9) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p10, median, p90 } = *self;
        write!(f, "{} / **{}** / {}", short(p10), short(median), short(p90))
    }
}

/// Three digits.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Between the values on both sides of the place.
pub(crate) fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = quantile * last as f64;
    let (below, above) = (place.floor(), place.ceil());
    let share = place - below;
    sorted[below as usize] * (1.0 - share) + sorted[above as usize] * share
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(&values.into_iter().collect::<Vec<_>>()).median
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        let spread = Spread::of(&[5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(spread, Spread { p10: 1.4, median: 3.0, p90: 4.6 });
    }

    #[test]
    fn a_single_value_is_every_quantile() {
        assert_eq!(Spread::of(&[2.0]), Spread { p10: 2.0, median: 2.0, p90: 2.0 });
    }

    #[test]
    fn three_digits_are_shown() {
        assert_eq!([short(0.123), short(12.34), short(1234.5)], ["0.12", "12.3", "1234"]);
    }
}
