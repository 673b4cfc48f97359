//! STS as far as proofs need it: it checks what was signed, or says what a test wants.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::super::proof::{authorization, read_date};
use super::super::sts::Sts;
use super::{REGION, credentials};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

type Respond = Arc<dyn Fn(&Received) -> Vec<u8> + Send + Sync>;

/// Ends with the test.
pub(super) struct FakeSts {
    pub(super) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    _server: JoinSet<()>,
}

impl FakeSts {
    pub(super) async fn start(respond: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (respond, received): (Respond, _) = (Arc::new(respond), Arc::<Mutex<Vec<Received>>>::default());
        let mut server = JoinSet::new();
        let seen = Arc::clone(&received);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&respond), Arc::clone(&seen)));
            }
        });
        Self { url, received, _server: server }
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.received().len()
    }
}

async fn serve(mut stream: TcpStream, respond: Respond, seen: Arc<Mutex<Vec<Received>>>) {
    while let Some(request) = read_request(&mut stream).await {
        let answer = respond(&request);
        seen.lock().unwrap().push(request);
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().lines();
    let line = lines.next()?.to_owned();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: Vec<_> = lines.filter_map(pair).collect();
    let mut request = Received { line, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok());
    request.body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

impl Received {
    /// The value of a header that stands there once.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }

    /// As STS answers: who signed, when the role did, and 403 else.
    pub(super) fn answer_as(&self, arn: &str) -> Vec<u8> {
        if self.is_signed() {
            return answer(200, "", &caller(arn, "123456789012"));
        }
        let refusal = "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>";
        answer(403, "", refusal)
    }

    /// Signs what came once more and compares.
    fn is_signed(&self) -> bool {
        let Some(shown) = self.header("authorization") else { return false };
        let signed = shown.split_once("SignedHeaders=").and_then(|(_, rest)| rest.split_once(", ")).unwrap().0;
        // The signer adds these by itself.
        let own = ["host", "x-amz-date", "x-amz-security-token"];
        let names = signed.split(';').filter(|name| !own.contains(name));
        let headers: Vec<_> = names.map(|name| (name, self.header(name).unwrap_or_default())).collect();
        let host = self.header("host").unwrap().to_owned();
        let sts = Sts { url: format!("http://{host}"), host, region: REGION.into() };
        let date = read_date(self.header("x-amz-date").unwrap()).unwrap();
        let has_token = self.header("x-amz-security-token") == credentials().session_token();
        has_token && authorization(credentials(), &sts, date, headers, &self.body).unwrap() == shown
    }
}

/// An answer to `GetCallerIdentity`.
pub(super) fn caller(arn: &str, account: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{arn}</Arn><UserId>AROAORDERS:i-0abc</UserId><Account>{account}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )
}

/// The bytes of an answer; further headers end with a line end each.
pub(super) fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
