//! Requests to AWS, counted where they leave: whatever repeats one, each that is answered is paid for.
//!
//! SQS bills a request for each 64 KiB that it takes along or brings back, S3 each request that it does not answer with
//! a failure of its own (5xx). What got no answer is taken for one that never arrived.
//! Sources: <https://aws.amazon.com/sqs/pricing/>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ErrorCodeBilling.html>

use std::collections::BTreeMap;

use aws_sdk_sqs::config::Intercept;
use aws_sdk_sqs::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef,
};
use aws_sdk_sqs::error::BoxError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageOutput;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use chassis::telemetry::metrics::Metrics;
use http::{Method, StatusCode, Uri};
use prometheus::core::Collector as _;
use prometheus::{IntCounter, IntCounterVec, Opts};

/// What SQS takes for one request on its bill.
pub const SQS_BILLED_BYTES: u64 = 64 * 1024;
/// `service` is the label of every family: the service of ours.
const LABELS: &[&str] = &["api", "action"];
const SQS: &str = "sqs";
const S3: &str = "s3";
const SENT: &str = "sent";
const RECEIVED: &str = "received";

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct AwsRequests {
    sent: IntCounterVec,
    billed: IntCounterVec,
    empty_receives: IntCounter,
    messages: IntCounterVec,
}

/// How often one action was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests that left.
    pub sent: u64,
    /// Requests on the bill.
    pub billed: u64,
}

impl Default for AwsRequests {
    #[expect(clippy::expect_used, reason = "names and labels are constants, and every test of a client builds them")]
    fn default() -> Self {
        let vector = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), LABELS);
        let sent = vector("aws_requests_total", "Requests to AWS, repeated ones too.");
        let billed = vector("aws_billed_requests_total", "The same as AWS bills them: SQS by 64 KiB, S3 without 5xx.");
        let empty_receives = IntCounter::new("aws_empty_receives_total", "Receives from SQS that brought nothing.");
        let messages = Opts::new("aws_messages_total", "Messages that the queue took, and brought for the first time.");
        let messages = IntCounterVec::new(messages, &["direction"]);
        let counters = "the counters are valid";
        Self {
            sent: sent.expect(counters),
            billed: billed.expect(counters),
            empty_receives: empty_receives.expect(counters),
            messages: messages.expect(counters),
        }
    }
}

impl AwsRequests {
    /// Shows them on the page of a service, once for each service.
    pub fn register(&self, metrics: &Metrics) {
        metrics.register(Box::new(self.sent.clone()));
        metrics.register(Box::new(self.billed.clone()));
        metrics.register(Box::new(self.empty_receives.clone()));
        metrics.register(Box::new(self.messages.clone()));
    }

    /// What was asked for so far, by service and action.
    #[must_use]
    pub fn counted(&self) -> BTreeMap<(String, String), Counted> {
        let mut counted: BTreeMap<_, Counted> = BTreeMap::new();
        for (key, count) in values(&self.sent) {
            counted.entry(key).or_default().sent = count;
        }
        for (key, count) in values(&self.billed) {
            counted.entry(key).or_default().billed = count;
        }
        counted
    }

    /// Receives from SQS that brought nothing.
    #[must_use]
    pub fn empty_receives(&self) -> u64 {
        self.empty_receives.get()
    }

    /// Messages that the queue took.
    #[must_use]
    pub fn sent_messages(&self) -> u64 {
        self.messages.with_label_values(&[SENT]).get()
    }

    /// Messages that the queue brought for the first time.
    #[must_use]
    pub fn received_messages(&self) -> u64 {
        self.messages.with_label_values(&[RECEIVED]).get()
    }

    /// Messages that the queue took: not what went to the dead-letter queue, or came back from there.
    pub(super) fn count_sent(&self, messages: usize) {
        self.messages.with_label_values(&[SENT]).inc_by(messages as u64);
    }

    /// Messages that the queue brought for the first time.
    pub(super) fn count_received(&self, messages: usize) {
        self.messages.with_label_values(&[RECEIVED]).inc_by(messages as u64);
    }

    /// What counts the requests of a client.
    pub(super) fn meter(&self) -> Meter {
        Meter(self.clone())
    }

    /// One request to S3, and the status that came back.
    pub(super) fn count_s3(&self, action: &str, answer: Option<StatusCode>) {
        self.sent.with_label_values(&[S3, action]).inc();
        if answer.is_some_and(|status| !status.is_server_error()) {
            self.billed.with_label_values(&[S3, action]).inc();
        }
    }

    fn count_answer(&self, service: &str, action: &str, request: Option<u64>, answer: Option<u64>) {
        let billed = billed(service, request).max(billed(service, answer));
        self.billed.with_label_values(&[service, action]).inc_by(billed);
    }
}

fn billed(service: &str, bytes: Option<u64>) -> u64 {
    if service == SQS { bytes.unwrap_or(0).div_ceil(SQS_BILLED_BYTES).max(1) } else { 1 }
}

fn values(counters: &IntCounterVec) -> Vec<((String, String), u64)> {
    let mut values = Vec::new();
    for metric in counters.collect().iter().flat_map(|family| family.get_metric().to_vec()) {
        let label = |name| metric.get_label().iter().find(|label| label.name() == name).map(|label| label.value());
        let (service, action) = (label("api").unwrap_or_default(), label("action").unwrap_or_default());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, kept as a float")]
        values.push(((service.to_owned(), action.to_owned()), metric.get_counter().get_value() as u64));
    }
    values
}

/// What a request to S3 asks for: the client has no names for it.
pub(super) fn s3_action(method: &Method, uri: &Uri) -> &'static str {
    match *method {
        Method::PUT => "PutObject",
        Method::GET if uri.query().is_some_and(|query| query.contains("list-type=2")) => "ListObjectsV2",
        Method::GET => "GetObject",
        Method::HEAD => "HeadObject",
        Method::DELETE => "DeleteObject",
        _ => "Other",
    }
}

/// Between the SDK and the wire.
#[derive(Debug, Clone)]
pub(super) struct Meter(AwsRequests);

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "meter of requests"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some((service, action)) = names(config) {
            self.0.sent.with_label_values(&[service.as_str(), action]).inc();
        }
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some((service, action)) = names(config) {
            let request = context.inner().request().and_then(|request| request.body().content_length());
            let length = context.response().headers().get(http::header::CONTENT_LENGTH.as_str());
            let answer = length.and_then(|length| length.parse().ok());
            self.0.count_answer(&service, action, request, answer);
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(output) = context.output_or_error()
            && let Some(received) = output.downcast_ref::<ReceiveMessageOutput>()
            && received.messages().is_empty()
        {
            self.0.empty_receives.inc();
        }
        Ok(())
    }
}

/// The SDK's names, the service's as policies write it.
fn names(config: &ConfigBag) -> Option<(String, &str)> {
    let call = config.load::<Metadata>()?;
    Some((call.service().replace(' ', "").to_ascii_lowercase(), call.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqs_bills_by_64_kib_of_what_is_larger_request_or_answer() {
        let requests = AwsRequests::default();
        requests.count_answer(SQS, "SendMessageBatch", Some(64 * 1024 + 1), Some(500));
        requests.count_answer(SQS, "ReceiveMessage", Some(200), Some(256 * 1024));
        requests.count_answer("ssm", "GetParameter", Some(1 << 20), Some(1 << 20));
        let counted = requests.counted();
        let of = |service: &str, action: &str| counted[&(service.to_owned(), action.to_owned())];
        assert_eq!(of(SQS, "SendMessageBatch"), Counted { sent: 0, billed: 2 });
        assert_eq!(of(SQS, "ReceiveMessage"), Counted { sent: 0, billed: 4 });
        assert_eq!(of("ssm", "GetParameter"), Counted { sent: 0, billed: 1 });
    }

    #[test]
    fn s3_does_not_bill_its_own_failures() {
        let requests = AwsRequests::default();
        for status in [200, 412, 503] {
            requests.count_s3("PutObject", StatusCode::from_u16(status).ok());
        }
        requests.count_s3("PutObject", None);
        assert_eq!(requests.counted()[&(S3.to_owned(), "PutObject".to_owned())], Counted { sent: 4, billed: 2 });
    }
}
