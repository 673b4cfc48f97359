//! The bill and the forecast, for people and for programs.

use backends::aws::{Bill, Prices};
use serde_json::{Value, json};

use super::forecast::{Forecast, Pace, Saving};
use super::{HEARTBEAT, PUT, RECEIVE};
use crate::output::{bold, color_on, print, print_line};

/// What is shown.
pub(super) struct Report<'a> {
    /// Of all processes, and how many these are; `None` when none uses AWS.
    pub(super) so_far: Option<(Bill, usize)>,
    pub(super) forecast: &'a Forecast,
    pub(super) savings: &'a [Saving],
    pub(super) prices: &'a Prices,
}

impl Report<'_> {
    pub(super) fn table(&self) {
        let mut text = match &self.so_far {
            Some((bill, processes)) => so_far(bill, *processes),
            None => "no process that uses AWS runs here\n".to_owned(),
        };
        text.push('\n');
        text.push_str(&self.future());
        print(&text);
    }

    fn future(&self) -> String {
        if self.forecast.is_free() {
            return "with these settings messages cost nothing on AWS: queue and objects are elsewhere\n".to_owned();
        }
        let dollars = |pace| self.forecast.bill(pace, self.prices).dollars;
        let mut text = format!(
            "a million messages of {} bytes cost ${:.2} under load, ${:.2} one at a time\n",
            self.forecast.message_bytes(),
            dollars(Pace::UnderLoad),
            dollars(Pace::OneAtATime),
        );
        for Saving { setting, dollars, part } in self.savings {
            text.push_str(&format!("{setting} would make it ${dollars:.2} under load, {:.0} % less\n", part * 100.0));
        }
        text.push_str(&format!("prices of {} (AWS_PRICES)\n", self.prices.as_of()));
        text
    }

    pub(super) fn json(&self) {
        let bill = |pace| {
            let bill = self.forecast.bill(pace, self.prices);
            json!({ "dollars": bill.dollars, "requests": bill.requests })
        };
        let saving = |Saving { setting, dollars, part }: &Saving| json!({ "setting": setting, "dollars_under_load": dollars, "saved_share": part });
        let shown = json!({
            "prices_as_of": self.prices.as_of().to_string(),
            "so_far": self.so_far.as_ref().map(|(bill, processes)| {
                let mut shown = shares(bill);
                shown["processes"] = json!(processes);
                shown
            }),
            "a_million_messages": {
                "message_bytes": self.forecast.message_bytes(),
                "under_load": bill(Pace::UnderLoad),
                "one_at_a_time": bill(Pace::OneAtATime),
                "savings": self.savings.iter().map(saving).collect::<Vec<_>>(),
            },
        });
        print_line(&shown.to_string());
    }
}

/// A bill with what stands out in it.
pub(super) fn shares(bill: &Bill) -> Value {
    json!({
        "dollars": bill.dollars,
        "dollars_per_million_messages": bill.dollars_per_million(),
        "sent_messages": bill.sent_messages,
        "received_messages": bill.received_messages,
        "empty_receives": bill.empty_receives,
        "empty_receives_share_of_receives": part(bill.empty_receives, bill.sent(RECEIVE)),
        "heartbeats_share_of_dollars": bill.share(&[HEARTBEAT]),
        "puts_share_of_dollars": bill.share(&[PUT]),
        "requests": bill.requests,
    })
}

fn so_far(bill: &Bill, processes: usize) -> String {
    let of = if processes == 1 { "1 process".to_owned() } else { format!("{processes} processes") };
    let each = bill.dollars_per_million().map_or_else(String::new, |dollars| format!(", ${dollars:.2} for a million"));
    let mut text = format!("{} messages since the start of {of}: ${:.4}{each}\n\n", bill.messages(), bill.dollars);
    let head = format!("{:<36} {:>12} {:>12} {:>12} {:>7}", "REQUEST", "SENT", "BILLED", "DOLLARS", "SHARE");
    text.push_str(&format!("{}\n", bold(&head, color_on(&std::io::stdout()))));
    for line in &bill.requests {
        let share = if bill.dollars > 0.0 { line.dollars / bill.dollars * 100.0 } else { 0.0 };
        let name = format!("{}:{}", line.api, line.action);
        text.push_str(&format!(
            "{name:<36} {:>12} {:>12} {:>12.6} {share:>5.1} %\n",
            line.sent, line.billed, line.dollars
        ));
    }
    let empty = part(bill.empty_receives, bill.sent(RECEIVE)) * 100.0;
    text.push_str(&format!(
        "\n{empty:.1} % of the receives brought nothing; heartbeats are {:.1} % and PUTs {:.1} % of the dollars\n",
        bill.share(&[HEARTBEAT]) * 100.0,
        bill.share(&[PUT]) * 100.0,
    ));
    text
}

#[expect(clippy::cast_precision_loss, reason = "a share of counts")]
fn part(some: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}
