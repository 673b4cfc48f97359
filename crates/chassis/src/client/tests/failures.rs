//! Services that are down, slow, or answer what they should not.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::error::{Error, Kind};

const SHORT: CallLimits = CallLimits { timeout: Duration::from_millis(100), max_answer_bytes: 1000 };

async fn failure(client: &ServiceClient) -> CallFailure {
    client.get(&["users"]).send().await.unwrap_err().failure().clone()
}

/// A port of this machine, and who listens there.
async fn listening() -> (TcpListener, String) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Writes this on each connection, whatever is asked there, and then nothing, or hangs up.
async fn raw(text: &'static str, hangs_up: bool) -> (String, JoinSet<()>) {
    let (listener, url) = listening().await;
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut connection, _peer) = listener.accept().await.unwrap();
            let _request = connection.read(&mut [0; 4096]).await.unwrap();
            connection.write_all(text.as_bytes()).await.unwrap();
            if !hangs_up {
                open.push(connection);
            }
        }
    });
    (url, serving)
}

#[tokio::test]
async fn nobody_there_means_unavailable_with_the_systems_words_and_no_address() {
    let (listener, url) = listening().await;
    drop(listener);
    let CallFailure::NoEndpoint(cause) = failure(&client_of(&url)).await else { panic!("it is there") };
    assert!(cause.contains("Connection refused"), "{cause}");
    assert!(!cause.contains("/users"), "{cause}");
}

#[tokio::test]
async fn what_may_have_been_done_is_asked_once_and_what_can_be_repeated_again() {
    for (method, attempts) in [(Method::POST, 1), (Method::GET, 3)] {
        let (listener, url) = listening().await;
        let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (mut connection, _peer) = listener.accept().await.unwrap();
                let _request = connection.read(&mut [0; 4096]).await.unwrap();
                let _kept = sender.send(());
            }
        });
        let ended = client_of(&url).call(method.clone(), &["users"]).send().await;
        assert!(matches!(ended.unwrap_err().failure(), CallFailure::Unavailable(_)));
        let mut count = 0;
        while asked.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, attempts, "{method}");
    }
}

#[tokio::test]
async fn a_service_that_takes_connections_and_says_nothing_times_out() {
    let (_listener, url) = listening().await;
    assert_eq!(failure(&limited(&url, SHORT)).await, CallFailure::Timeout(SHORT.timeout));
    let (url, _serving) = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", false).await;
    assert_eq!(failure(&limited(&url, SHORT)).await, CallFailure::Timeout(SHORT.timeout));
}

#[tokio::test]
async fn a_service_that_hangs_up_is_unavailable() {
    for said in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "what?\r\n\r\n"] {
        let (url, _serving) = raw(said, true).await;
        assert!(matches!(failure(&client_of(&url)).await, CallFailure::Unavailable(_)), "{said:?}");
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_not_read_to_its_end() {
    let some = || stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[0; 100])));
    let endless = move || async move { Body::from_stream(some()) };
    let exact = move || async move { Body::from_stream(some().take(10)) };
    let routes = Router::new().route("/users", get(endless)).route("/exact", get(exact));
    let server = TestServer::start(routes).await;
    let limits = CallLimits { max_answer_bytes: 1000, ..PATIENT };
    let client = limited(&server.url(), limits);
    assert_eq!(failure(&client).await, CallFailure::TooLarge(1000));
    assert_eq!(client.get(&["exact"]).send().await.unwrap().body().len(), 1000);
    let (url, _serving) = raw("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n", false).await;
    assert_eq!(failure(&limited(&url, limits)).await, CallFailure::TooLarge(1000), "it was announced");
}

#[tokio::test]
async fn what_no_url_can_name_is_not_asked_for() {
    let server = echoing().await;
    let client = client_of(&server.url());
    let long = "x".repeat(8000);
    for segment in ["", ".", "..", &long] {
        let error = client.get(&["users", segment]).send().await.unwrap_err();
        assert!(matches!(error.failure(), CallFailure::Unaddressable(_)), "{error}");
        assert_eq!(Error::from(error).kind(), Kind::NotFound);
    }
    let error = client.get(&["users"]).query("name", &long).send().await.unwrap_err();
    assert!(matches!(error.failure(), CallFailure::Unaddressable(_)), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_call_that_is_wrong_is_not_sent() {
    let server = echoing().await;
    let client = client_of(&server.url());
    let post = || client.call(Method::POST, &["users"]);
    let no_json = std::collections::BTreeMap::from([((1, 2), 3)]);
    for call in [post().idempotency_key("new\nline"), post().bearer(&"to\0ken".into()), post().json(&no_json)] {
        let error = call.send().await.unwrap_err();
        assert!(matches!(error.failure(), CallFailure::Unsendable(_)), "{error}");
        assert!(!error.to_string().contains("ken"), "{error}");
        assert_eq!(Error::from(error).kind(), Kind::Internal);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_body_of_another_shape_is_malformed_and_is_not_shown() {
    #[derive(Debug, serde::Deserialize)]
    struct Count {
        #[expect(dead_code, reason = "never read, since it cannot be")]
        total: u64,
    }
    for (body, why) in [
        (r#"{"total": "secret"}"#, "has another shape than expected at `total`, line 1, column 18"),
        (r#"{"secret": 1}"#, "has another shape than expected at `.`, line 1, column 13"),
        ("<html>secret", "expected JSON in the body of a 200 OK, which ends being that at line 1, column 1"),
        ("", "expected JSON"),
        (r#"{"total": 1} secret"#, "expected one JSON value"),
    ] {
        let server = TestServer::start(Router::new().fallback(move || async move { body })).await;
        let answer = client_of(&server.url()).get(&["count"]).send().await.unwrap();
        let error = answer.json::<Count>().unwrap_err();
        assert!(matches!(error.failure(), CallFailure::Malformed(_)), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn a_service_that_gives_no_answer_is_503_with_retry_after_and_without_the_cause() {
    for failure in [
        CallFailure::Unavailable("refused".into()),
        CallFailure::Timeout(SHORT.timeout),
        CallFailure::TooLarge(1),
        CallFailure::Malformed("no JSON".into()),
    ] {
        let error = Error::from(CallError::new(&"user-service".into(), failure));
        assert_eq!(error.kind(), Kind::Unavailable);
        assert_eq!(error.to_string(), "user-service unavailable");
        assert!(error.retry_after.is_some());
    }
}
