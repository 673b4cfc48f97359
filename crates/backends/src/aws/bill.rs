//! What the requests of a process have cost so far.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, Opts};
use serde::{Deserialize, Serialize};

use super::{AwsRequests, Counted, Prices};

/// Requests, messages and dollars; as `/status` shows them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// By what was asked for, the dearest first.
    pub requests: Vec<BilledRequests>,
    /// Messages that the queue took.
    pub sent_messages: u64,
    /// Messages that the queue brought for the first time.
    pub received_messages: u64,
    /// Receives that brought nothing.
    pub empty_receives: u64,
    /// For all of it.
    pub dollars: f64,
}

/// One line of a bill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BilledRequests {
    /// `sqs`, `s3`, `ssm` or `secretsmanager`.
    pub api: String,
    /// Such as `PutObject`.
    pub action: String,
    /// Requests that left.
    pub sent: u64,
    /// Requests on AWS's bill.
    pub billed: u64,
    /// For them.
    pub dollars: f64,
}

impl Bill {
    /// The bill of this process.
    #[must_use]
    pub fn of(requests: &AwsRequests, prices: &Prices) -> Self {
        let line = |((api, action), Counted { sent, billed }): ((String, String), Counted)| BilledRequests {
            dollars: prices.dollars(&api, &action, billed),
            api,
            action,
            sent,
            billed,
        };
        let mut bill = Self {
            sent_messages: requests.sent_messages(),
            received_messages: requests.received_messages(),
            empty_receives: requests.empty_receives(),
            ..Self::default()
        };
        requests.counted().into_iter().map(line).for_each(|line| bill.add_line(line));
        bill
    }

    /// Adds the bill of another process.
    pub fn add(&mut self, other: Self) {
        self.sent_messages += other.sent_messages;
        self.received_messages += other.received_messages;
        self.empty_receives += other.empty_receives;
        other.requests.into_iter().for_each(|line| self.add_line(line));
    }

    /// Adds requests, to those for the same action where there are some.
    pub fn add_line(&mut self, line: BilledRequests) {
        self.dollars += line.dollars;
        match self.requests.iter_mut().find(|own| (&own.api, &own.action) == (&line.api, &line.action)) {
            Some(own) => {
                own.sent += line.sent;
                own.billed += line.billed;
                own.dollars += line.dollars;
            }
            None => self.requests.push(line),
        }
        let by_dollars = |one: &BilledRequests, other: &BilledRequests| other.dollars.total_cmp(&one.dollars);
        self.requests.sort_by(|one, other| by_dollars(one, other).then_with(|| one.action.cmp(&other.action)));
    }

    /// Messages that went through: what one process sends another one receives, and both are on a bill of both.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.sent_messages.max(self.received_messages)
    }

    /// What a million messages would cost if they all were as these; `None` when there were none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody sends 2^53 messages")]
    pub fn dollars_per_million(&self) -> Option<f64> {
        (self.messages() > 0).then(|| self.dollars * 1e6 / self.messages() as f64)
    }

    /// Requests that left for an action.
    #[must_use]
    pub fn sent(&self, action: &str) -> u64 {
        self.requests.iter().filter(|line| line.action == action).map(|line| line.sent).sum()
    }

    /// The part of the dollars that went for some actions, from 0 to 1.
    #[must_use]
    pub fn share(&self, actions: &[&str]) -> f64 {
        let lines = self.requests.iter().filter(|line| actions.contains(&line.action.as_str()));
        let dollars = lines.fold(0.0, |sum, line| sum + line.dollars);
        if self.dollars > 0.0 { dollars / self.dollars } else { 0.0 }
    }
}

/// The dollars as a counter, worked out when somebody looks.
pub struct CostCollector {
    requests: AwsRequests,
    prices: Prices,
    /// What the family is; it has no values.
    family: CounterVec,
}

impl CostCollector {
    /// Of the requests of this process.
    #[must_use]
    pub fn new(requests: &AwsRequests, prices: Prices) -> Self {
        Self { requests: requests.clone(), prices, family: Self::family() }
    }

    #[expect(clippy::expect_used, reason = "name and label are constants, and every test of the binary builds it")]
    fn family() -> CounterVec {
        let options = Opts::new("aws_cost_dollars_total", "What the billed requests cost by AWS_PRICES.");
        CounterVec::new(options, &["api"]).expect("the counter is valid")
    }
}

impl Collector for CostCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.family.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Anew each time: two may look at once.
        let dollars = Self::family();
        for line in Bill::of(&self.requests, &self.prices).requests {
            dollars.with_label_values(&[line.api.as_str()]).inc_by(line.dollars);
        }
        dollars.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_adds_up_and_tells_what_is_dear() {
        let line = |action: &str, billed, dollars| BilledRequests {
            api: "x".into(),
            action: action.into(),
            sent: billed,
            billed,
            dollars,
        };
        let mut bill = Bill { sent_messages: 1_000, ..Bill::default() };
        bill.add_line(line("ReceiveMessage", 10, 1.0));
        let mut other = Bill { sent_messages: 1_000, received_messages: 1_500, ..Bill::default() };
        other.add_line(line("PutObject", 19, 2.5));
        other.add_line(line("PutObject", 1, 0.5));
        bill.add(other);
        assert_eq!(bill.requests.len(), 2);
        assert_eq!(bill.requests[0].action, "PutObject");
        assert!((bill.dollars_per_million().unwrap() - 2_000.0).abs() < 1e-9);
        assert!((bill.share(&["PutObject"]) - 0.75).abs() < 1e-9);
        assert_eq!(bill.sent("ReceiveMessage"), 10);
        let empty = Bill::default();
        assert_eq!((empty.dollars_per_million(), empty.share(&["PutObject"])), (None, 0.0));
    }
}
