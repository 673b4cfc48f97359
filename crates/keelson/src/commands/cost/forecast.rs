//! What a million messages ask of AWS, and what they would ask with other settings.

use backends::aws::{Bill, BilledRequests, Prices, SQS_BILLED_BYTES};
use chassis::ports::queue::{MAX_BATCH, MAX_MESSAGE_BYTES};
use pipeline::archiver::MAX_ROLLED_UP;

use super::{PUT, RECEIVE};
use crate::settings::Settings;

const MILLION: u64 = 1_000_000;
/// What SQS sends along with each message: its receipt, digests, counts and times.
const ENVELOPE_BYTES: u64 = 1_000;
/// The messages and their index.
const PUTS_OF_A_ROLLUP: u64 = 2;
const ROLLED_UP: u64 = MAX_ROLLED_UP as u64;

/// The settings that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forecast {
    uses_sqs: bool,
    uses_s3: bool,
    max_messages: u64,
    concurrency: u64,
    /// Bytes of a roll-up.
    rollup: Option<u64>,
    message_bytes: u64,
}

/// How messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// So many at once that every batch is full.
    UnderLoad,
    /// Each when the one before is done.
    OneAtATime,
}

impl Forecast {
    pub(super) fn of(settings: &Settings, message_bytes: u64) -> Self {
        Self {
            uses_sqs: settings.queue.url.starts_with("sqs:"),
            uses_s3: settings.objects_url.starts_with("s3:"),
            max_messages: settings.archiver.max_messages as u64,
            concurrency: settings.archiver.concurrency as u64,
            rollup: settings.archiver.rollup.map(|rollup| rollup.size_bytes as u64),
            message_bytes,
        }
    }

    pub(super) fn message_bytes(&self) -> u64 {
        self.message_bytes
    }

    /// Whether AWS has any part in it.
    pub(super) fn is_free(&self) -> bool {
        !self.uses_sqs && !self.uses_s3
    }

    /// The bill of a million messages. An archiver that has nothing to do asks five times a minute, three times for
    /// messages and twice how full the queues are, which is for no message.
    pub(super) fn bill(&self, pace: Pace, prices: &Prices) -> Bill {
        let mut bill = Bill { sent_messages: MILLION, received_messages: MILLION, ..Bill::default() };
        for (api, action, sent, billed) in self.requests(pace) {
            let dollars = prices.dollars(api, action, billed);
            bill.add_line(BilledRequests { api: api.to_owned(), action: action.to_owned(), sent, billed, dollars });
        }
        bill
    }

    /// What is asked for: the requests, and those on the bill.
    fn requests(&self, pace: Pace) -> Vec<(&'static str, &'static str, u64, u64)> {
        let full = if pace == Pace::UnderLoad { MAX_BATCH as u64 } else { 1 };
        let fitting = (MAX_MESSAGE_BYTES as u64 / self.message_bytes).clamp(1, full);
        let calls = |action, in_one: u64, bytes: u64| {
            let calls = MILLION.div_ceil(in_one);
            ("sqs", action, calls, calls * (in_one * bytes).div_ceil(SQS_BILLED_BYTES).max(1))
        };
        let mut requests = Vec::new();
        if self.uses_sqs {
            requests.push(calls("SendMessageBatch", fitting, self.message_bytes));
            // The archiver asks when half of its places are free; for roll-ups it has many.
            let places = if self.rollup.is_some() { self.max_messages } else { self.concurrency / 2 };
            let wanted = self.max_messages.min(places).max(1);
            requests.push(calls(RECEIVE, fitting.min(wanted), self.message_bytes + ENVELOPE_BYTES));
            requests.push(calls("DeleteMessageBatch", full, 0));
        }
        if self.uses_s3 {
            let puts = self.rollup.map_or(MILLION, |bytes| {
                let in_one = if pace == Pace::UnderLoad { (bytes / self.message_bytes).clamp(1, ROLLED_UP) } else { 1 };
                PUTS_OF_A_ROLLUP * MILLION.div_ceil(in_one)
            });
            requests.push(("s3", PUT, puts, puts));
        }
        requests
    }
}

/// A setting that would cost less.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Saving {
    /// As it is written.
    pub(super) setting: &'static str,
    /// Dollars for a million messages under load, then.
    pub(super) dollars: f64,
    /// The part that is saved, from 0 to 1.
    pub(super) part: f64,
}

/// Less than this is not worth a line.
const WORTH_A_LINE: f64 = 0.005;

/// What other settings would save under load, the largest first.
pub(super) fn savings(forecast: &Forecast, prices: &Prices) -> Vec<Saving> {
    let now = forecast.bill(Pace::UnderLoad, prices).dollars;
    let others = [
        ("MAX_MESSAGES=10", Forecast { max_messages: MAX_BATCH as u64, ..*forecast }),
        ("ARCHIVE_CONCURRENCY=64", Forecast { concurrency: 64, ..*forecast }),
        ("ARCHIVE_ROLLUP=100MB,60s", Forecast { rollup: forecast.uses_s3.then_some(100_000_000), ..*forecast }),
    ];
    let saving = |(setting, other): (&'static str, Forecast)| {
        let dollars = other.bill(Pace::UnderLoad, prices).dollars;
        Saving { setting, dollars, part: if now > 0.0 { 1.0 - dollars / now } else { 0.0 } }
    };
    let mut savings: Vec<_> = others.into_iter().map(saving).filter(|saving| saving.part >= WORTH_A_LINE).collect();
    savings.sort_by(|one, other| other.part.total_cmp(&one.part));
    savings
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORECAST: Forecast = Forecast {
        uses_sqs: true,
        uses_s3: true,
        max_messages: 10,
        concurrency: 64,
        rollup: None,
        message_bytes: 2_000,
    };
    const ROLLED: Forecast = Forecast { rollup: Some(100_000_000), ..FORECAST };

    fn prices() -> Prices {
        "2026-06-01 sqs=0.40 s3_put=5.00 s3_get=0.40 secretsmanager=5.00".parse().unwrap()
    }

    fn dollars(forecast: Forecast, pace: Pace) -> f64 {
        forecast.bill(pace, &prices()).dollars
    }

    #[test]
    fn a_million_small_messages_cost_a_put_each_and_three_calls_for_ten() {
        assert!((dollars(FORECAST, Pace::UnderLoad) - (5.0 + 0.3 * 0.4)).abs() < 1e-9);
        assert!((dollars(FORECAST, Pace::OneAtATime) - (5.0 + 3.0 * 0.4)).abs() < 1e-9);
        let on_disk = Forecast { uses_s3: false, uses_sqs: false, ..FORECAST };
        assert!(on_disk.is_free() && dollars(on_disk, Pace::UnderLoad) == 0.0);
    }

    #[test]
    fn large_messages_are_billed_by_64_kib_and_share_fewer_calls() {
        let large = Forecast { message_bytes: 200_000, ..FORECAST };
        let bill = large.bill(Pace::UnderLoad, &prices());
        assert_eq!(bill.sent("SendMessageBatch"), 200_000, "five fit into a MiB");
        let sends = bill.requests.iter().find(|line| line.action == "SendMessageBatch").unwrap();
        assert_eq!(sends.billed, 200_000 * 16);
    }

    #[test]
    fn a_setting_that_saves_is_named_and_one_that_does_not_is_not() {
        assert_eq!(savings(&ROLLED, &prices()), []);
        let [saving] = &savings(&FORECAST, &prices())[..] else { panic!("one saving") };
        assert_eq!(saving.setting, "ARCHIVE_ROLLUP=100MB,60s");
        assert!((saving.dollars - (0.3 * 0.4 + 200.0 * 5e-6)).abs() < 1e-9 && saving.part > 0.97, "{saving:?}");
        let one_by_one = Forecast { uses_s3: false, max_messages: 1, ..FORECAST };
        let [saving] = &savings(&one_by_one, &prices())[..] else { panic!("one saving") };
        assert_eq!(saving.setting, "MAX_MESSAGES=10");
        assert!((saving.dollars - 0.12).abs() < 1e-9 && saving.part > 0.7, "{saving:?}");
        let narrow = Forecast { uses_s3: false, concurrency: 1, ..FORECAST };
        let [saving] = &savings(&narrow, &prices())[..] else { panic!("one saving") };
        assert_eq!(saving.setting, "ARCHIVE_CONCURRENCY=64");
    }
}
