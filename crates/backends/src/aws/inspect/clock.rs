//! The clock of AWS, as the `Date` of its answers tells it.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sqs::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use chassis::clock::Clock;
use jiff::fmt::rfc2822::DateTimeParser;

/// What answers told so far.
#[derive(Debug)]
pub(super) struct Dates {
    clock: Arc<dyn Clock>,
    skew_seconds: Mutex<Option<i64>>,
}

impl Dates {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, skew_seconds: Mutex::default() }
    }

    /// Takes an answer that has just come. The smallest difference counts: an answer that was long on its way makes a
    /// clock look wrong that is right.
    pub(super) fn observe(&self, date: &str) {
        let Ok(told) = DateTimeParser::new().parse_timestamp(date) else { return };
        let found = told.as_second() - self.clock.now().as_second();
        let mut skew = self.skew_seconds.lock().unwrap_or_else(PoisonError::into_inner);
        *skew = Some(skew.map_or(found, |known| if found.abs() < known.abs() { found } else { known }));
    }

    pub(super) fn skew_seconds(&self) -> Option<i64> {
        *self.skew_seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the `Date` of each answer to the SDK, refusals too.
#[derive(Debug)]
pub(super) struct ReadDate(pub(super) Arc<Dates>);

impl Intercept for ReadDate {
    fn name(&self) -> &'static str {
        "ReadDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        if let Some(date) = context.response().headers().get("date") {
            self.0.observe(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::testing::ManualClock;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_smallest_difference_counts_and_its_sign_is_kept() {
        let clock = ManualClock::new();
        let dates = Dates::new(Arc::clone(&clock) as _);
        let date = |seconds: i64| {
            let at = Timestamp::from_second(clock.now().as_second() + seconds).unwrap();
            at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        };
        dates.observe("yesterday");
        assert_eq!(dates.skew_seconds(), None);
        for (told, counts) in [(-400, -400), (900, -400), (-390, -390)] {
            dates.observe(&date(told));
            assert_eq!(dates.skew_seconds(), Some(counts));
        }
        clock.advance(Duration::from_secs(60));
        dates.observe(&date(0));
        assert_eq!(dates.skew_seconds(), Some(0));
    }
}
