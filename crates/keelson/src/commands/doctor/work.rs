//! How long the work on deliveries took, as an archiver's metrics tell it.

use std::fmt;
use std::time::Duration;

/// The histogram of the archiver.
const BUCKET: &str = "messaging_process_duration_seconds_bucket{";
/// The part of all deliveries that counts; the rest may be anything.
const MOST: f64 = 0.99;

/// Observed deliveries.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Work {
    deliveries: u64,
    /// The bound of the bucket with the slowest of most; without one they are beyond all bounds.
    at_most: Option<Duration>,
    /// The largest bound.
    measurable: Duration,
    /// Whose metrics.
    source: String,
}

impl Work {
    /// Reads a page of metrics; `None` when it tells of no delivery.
    pub(super) fn read(page: &str, source: &str) -> Option<Self> {
        let buckets: Vec<(f64, f64)> = page.lines().filter_map(bucket).collect();
        let total = buckets.iter().find(|(bound, _)| bound.is_infinite()).map(|(_, count)| *count)?;
        if total < 1.0 {
            return None;
        }
        let mut bounds = buckets.iter().filter(|(bound, _)| bound.is_finite());
        let slowest = bounds.find(|(_, count)| *count >= total * MOST);
        let measurable = buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).fold(0.0, f64::max);
        Some(Self {
            deliveries: whole(total),
            at_most: slowest.and_then(|(bound, _)| Duration::try_from_secs_f64(*bound).ok()),
            measurable: Duration::try_from_secs_f64(measurable).unwrap_or_default(),
            source: source.to_owned(),
        })
    }

    /// As far as the histogram tells.
    pub(super) fn most_take_at_most(&self) -> Duration {
        self.at_most.unwrap_or(self.measurable)
    }

    /// Whether that is sure.
    pub(super) fn is_longer_than(&self, time: Duration) -> bool {
        match self.at_most {
            Some(bound) => bound > time,
            None => self.measurable >= time,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deliveries, source, .. } = self;
        match self.at_most {
            Some(bound) => write!(f, "99 % of {deliveries} deliveries took at most {bound:?} ({source})"),
            None => {
                write!(f, "of {deliveries} deliveries more than 1 % took longer than {:?} ({source})", self.measurable)
            }
        }
    }
}

/// A line of the text format: the bound, and how many were within it.
fn bucket(line: &str) -> Option<(f64, f64)> {
    let (labels, count) = line.strip_prefix(BUCKET)?.rsplit_once("} ")?;
    let bound = labels.split(',').find_map(|label| label.strip_prefix("le=\"")?.strip_suffix('"'))?;
    Some((bound.parse().ok()?, count.trim().parse().ok()?))
}

/// Counts are whole and small.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole, and saturate")]
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(buckets: &[(&str, u64)]) -> String {
        let line = |(bound, count): &(&str, u64)| {
            format!("messaging_process_duration_seconds_bucket{{service=\"archiver\",le=\"{bound}\"}} {count}\n")
        };
        format!(
            "# TYPE messaging_process_duration_seconds histogram\n{}other{{le=\"9\"}} 1\n",
            buckets.iter().map(line).collect::<String>()
        )
    }

    #[test]
    fn the_bound_of_most_deliveries_is_found() {
        let work = Work::read(&page(&[("0.5", 90), ("1", 99), ("10", 100), ("+Inf", 100)]), "it").unwrap();
        assert_eq!(work.to_string(), "99 % of 100 deliveries took at most 1s (it)");
        assert!(work.is_longer_than(Duration::from_millis(900)) && !work.is_longer_than(Duration::from_secs(1)));
        let work = Work::read(&page(&[("1", 2), ("10", 90), ("+Inf", 100)]), "it").unwrap();
        assert!(work.to_string().contains("more than 1 % took longer than 10s"), "{work}");
        assert!(work.is_longer_than(Duration::from_secs(10)), "it is");
        assert!(!work.is_longer_than(Duration::from_secs(30)), "nobody knows");
    }

    #[test]
    fn a_page_without_deliveries_tells_nothing() {
        for page in [page(&[("1", 0), ("+Inf", 0)]), page(&[]), "<html>".into(), String::new()] {
            assert_eq!(Work::read(&page, "it"), None);
        }
    }
}
