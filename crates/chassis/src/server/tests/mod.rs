//! The server over real sockets, with time limits that a test can wait for.

mod connections;
mod encrypted;
mod framing;
mod hand_over;
mod http2;
mod time_limits;
mod tls;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use futures_util::{Stream, StreamExt, stream};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::Service;

use super::timeouts::Timeouts;
use super::{ConcurrencyLimit, Limits, Listener, bind, serve};
use crate::config::{ChassisConfig, Layers, Reader};
use crate::http::{Application, Arrival, Refusal};
use crate::lifecycle::Lifecycle;
use crate::telemetry::metrics::Metrics;
use crate::tls::ListenerTls;

const SHORT: Timeouts = Timeouts {
    first_byte: Duration::from_millis(300),
    idle: Duration::from_secs(1),
    stall: Duration::from_millis(300),
    stall_when_leaving: Duration::from_millis(200),
    linger: Duration::from_millis(200),
};
/// Well over every limit above.
const LONG: Duration = Duration::from_secs(5);
/// How long a slow handler works.
const SLOW: Duration = Duration::from_millis(1500);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct Server {
    address: SocketAddr,
    lifecycle: Lifecycle,
    handled: Arc<AtomicUsize>,
    /// Answers of `/stream` that nobody waits for any more.
    left: Arc<AtomicUsize>,
    metrics: Metrics,
    concurrency: Arc<ConcurrencyLimit>,
    task: JoinHandle<()>,
}

/// The server alone, without the edge.
impl Application for Router {
    async fn answer(mut self, mut request: Request, arrival: Arrival) -> Response {
        if arrival.is_late {
            let _counted = self.call(request).await;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if let Some(refusal) = arrival.refusal {
            request.extensions_mut().insert(refusal);
        }
        let Ok(answer) = self.call(request).await;
        answer
    }
}

/// Refusals as text; the edge makes problem bodies of them.
async fn fallback(request: Request) -> impl IntoResponse {
    match request.extensions().get::<Refusal>() {
        Some(refusal) => (refusal.kind.status(), refusal.detail.to_owned()),
        None => (StatusCode::NOT_FOUND, String::new()),
    }
}

/// Counts when it is let go of.
struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One piece, and nothing more.
fn endless(leaving: Leaving) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let silent = stream::pending().map(move |never: Infallible| {
        let _held = &leaving;
        match never {}
    });
    stream::iter([Ok(Bytes::from_static(b"begun"))]).chain(silent)
}

impl Server {
    fn start(settings: &[(&'static str, &str)]) -> Self {
        Self::start_over(None, settings)
    }

    fn start_over(tls: Option<ListenerTls>, settings: &[(&'static str, &str)]) -> Self {
        Self::start_on(bind("127.0.0.1:0".parse().unwrap(), "PORT").unwrap(), tls, settings)
    }

    #[expect(clippy::disallowed_methods, reason = "the test awaits the task")]
    fn start_on(listener: Listener, tls: Option<ListenerTls>, settings: &[(&'static str, &str)]) -> Self {
        let handled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handled);
        let left = Arc::new(AtomicUsize::new(0));
        let of_stream = Arc::clone(&left);
        let app = Router::new()
            .route("/", get(async || "hello"))
            .route("/echo", post(async |body: Bytes| body))
            .route("/large", get(async || "x".repeat(32 << 20)))
            .route("/slow", any(async || sleep(SLOW).await))
            .route(
                "/stream",
                get(move || std::future::ready(Body::from_stream(endless(Leaving(Arc::clone(&of_stream)))))),
            )
            .route("/ignore", any(async || StatusCode::IM_A_TEAPOT))
            .layer(axum::middleware::map_request(move |request: Request| {
                let fresh = usize::from(request.extensions().get::<Refusal>().is_none());
                count.fetch_add(fresh, Ordering::Relaxed);
                async { request }
            }));
        // Whatever path a refused request has, it is answered as refused.
        let refusing = axum::middleware::from_fn(async |request: Request, next: axum::middleware::Next| {
            if request.extensions().get::<Refusal>().is_some() {
                return fallback(request).await.into_response();
            }
            next.run(request).await
        });
        let app = app.fallback(fallback).layer(refusing);
        let address = listener.local_addr().unwrap();
        let layers = Layers::of(settings);
        let mut reader = Reader::new(&layers);
        let config = ChassisConfig::read(&mut reader, 1, std::net::Ipv4Addr::LOCALHOST);
        let (lifecycle, metrics) = (Lifecycle::new(), Metrics::new("test", "1"));
        let concurrency = Arc::<ConcurrencyLimit>::default();
        let mut limits =
            Limits::new(config.http.connections.max, &config.http, metrics.clone(), Arc::clone(&concurrency));
        limits.timeouts = &SHORT;
        limits.tls = tls;
        let task = tokio::spawn(serve(listener, app, limits, lifecycle.clone()));
        Self { address, lifecycle, handled, left, metrics, concurrency, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// All that comes back for `bytes` until the server closes.
    async fn answer(&self, bytes: &[u8]) -> String {
        read_to_end(&mut self.send(bytes).await).await
    }

    fn handled(&self) -> usize {
        self.handled.load(Ordering::Relaxed)
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the server closes");
    if let Err(error) = read {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8(answer).unwrap()
}

fn assert_refused(answer: &str, status: u16, why: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{why}: {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{why}: {answer:?}");
}

async fn eventually(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "it never happened");
        sleep(Duration::from_millis(5)).await;
    }
}
