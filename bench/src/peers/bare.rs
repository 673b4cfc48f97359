//! hyper and nothing else: no router, no time-outs, no limits, no log.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::Answer;

/// Gives one answer to everything.
pub(super) async fn serve(port: u16, answer: Answer) -> Result<()> {
    serve_with(port, move |_request| {
        let answer = answer.clone();
        async move { answer.response() }
    })
    .await
}

/// Gives each request to `handler`.
pub(super) async fn serve_with<F>(
    port: u16,
    handler: impl Fn(http::Request<Incoming>) -> F + Clone + Send + 'static,
) -> Result<()>
where
    F: Future<Output = http::Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let connections = TaskTracker::new();
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let handler = handler.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let _client_left = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
