//! The fake of AWS as the rows use it: started on the core of the load, asked what was called, told what to do.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::bench::{Bench, Product};
use crate::load::once::{self, Whole};
use crate::load::{get, post};
use crate::peers::aws::{BUCKET, PARAMETER, QUEUE};
use crate::server::{Launch, Server};

/// Where the fake says what was called; it answers as soon as it serves.
const CALLS: &str = "/_fake/calls";

/// A fake of AWS at one address; each start begins with empty stores.
#[derive(Debug)]
pub(crate) struct Aws {
    launch: Launch,
    address: SocketAddr,
}

/// Calls since the start, by the name of the action.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Calls {
    by_action: BTreeMap<String, u64>,
}

impl Calls {
    pub(crate) fn of(&self, action: &str) -> u64 {
        self.by_action.get(action).copied().unwrap_or(0)
    }
}

impl Aws {
    /// Not started yet. It has the core of the load, so that it takes no time from whom it serves.
    pub(crate) fn new(bench: &Bench, name: &str) -> Result<Self> {
        let (mut launch, address) = bench.peer(name, &["aws"])?;
        launch.cores = bench.cores.load.to_string();
        launch.ready = (address, CALLS);
        Ok(Self { launch, address })
    }

    pub(crate) fn start(&self) -> Result<Server> {
        self.launch.start()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where a GET is answered 200 while the fake runs.
    pub(crate) fn ready(&self) -> (SocketAddr, &'static str) {
        self.launch.ready
    }

    /// What any client of AWS needs to find it, and what the seeds call the queue and the parameter.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let settings = [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", "AKIAFAKE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "fake".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("SQS_QUEUE_URL", format!("{}/000000000000/{QUEUE}", self.endpoint())),
            ("SSM_PARAMETER_NAME", PARAMETER.to_owned()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// The product with its queue, its bucket and its token there.
    pub(crate) fn serve(&self, bench: &Bench, name: &str, service: &str) -> Result<Product> {
        let mut product = bench.serve(name, service)?.env("S3_BUCKET_NAME", BUCKET);
        // Two spellings of the token that differ would stop the start.
        product.launch.env.retain(|(name, _)| name != "API_TOKEN");
        product.launch.env.extend(self.environment());
        Ok(product)
    }

    pub(crate) fn calls(&self) -> Result<Calls> {
        Ok(serde_json::from_slice(&self.ask(&get(CALLS, None))?.body)?)
    }

    /// Lets each call of a service wait, as the network and AWS do.
    pub(crate) fn delay(&self, service: &str, millis: u64) -> Result<()> {
        let fault = format!(r#"{{"effect":"stall","millis":{millis},"service":"{service}"}}"#);
        self.ask(&post("/_fake/faults", &fault)).map(drop)
    }

    /// Empties the queue.
    pub(crate) fn purge(&self) -> Result<()> {
        let body = format!(r#"{{"QueueUrl":"{}/000000000000/{QUEUE}"}}"#, self.endpoint());
        let length = body.len();
        // The fake asks for a signature and does not check it.
        let head = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: unchecked\r\nX-Amz-Target: AmazonSQS.PurgeQueue\r\n\
             Content-Type: application/x-amz-json-1.0\r\nContent-Length: {length}\r\n\r\n"
        );
        self.ask((head + &body).as_bytes()).map(drop)
    }

    /// Bytes of the first object, if there is one.
    pub(crate) fn object_size(&self) -> Result<Option<usize>> {
        let list = self.ask(&get(&format!("/{BUCKET}?list-type=2&max-keys=1"), Some("unchecked")))?.text();
        let size = list.split_once("<Size>").and_then(|(_, rest)| rest.split_once("</Size>"));
        size.map(|(size, _)| size.parse().context("a size")).transpose()
    }

    fn ask(&self, request: &[u8]) -> Result<Whole> {
        let answer = once::ask(self.address, request)?;
        ensure!(answer.status == 200, "the fake of AWS answered {}: {}", answer.status, answer.text());
        Ok(answer)
    }
}
