//! Connections, and one request on its way through faults, log and service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::calls::{Outcome, Record};
use super::clock::http_date;
use super::control;
use super::error::AwsError;
use super::faults::{Plan, Refusal};
use super::reply::{Reply, Response, header, with_header};
use super::service::{Service, Target};
use super::{World, s3, secrets, sqs, ssm, sts};

/// Connections at a time; more wait in the kernel.
const MAX_CONNECTIONS: usize = 4096;
/// Bytes of a request's body; larger ones are cut off.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Hangup;

impl fmt::Display for Hangup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed without an answer")
    }
}

impl std::error::Error for Hangup {}

/// Serves until it is dropped, and every connection with it.
pub(crate) async fn serve(listener: TcpListener, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                match accepted {
                    Ok((stream, _)) => { connections.spawn(connection(stream, world.clone())); }
                    // Out of files: those that are open will end.
                    Err(_) => sleep(Duration::from_millis(10)).await,
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, world: Arc<World>) {
    // Without it small answers wait for the client's acknowledgement; a socket that is gone shows on its first read.
    let _no_delay = stream.set_nodelay(true);
    let service = service_fn(|request| handle(&world, request));
    // Errors are clients that left, and hang-ups of our own.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(world: &World, request: Request<Incoming>) -> Result<Response, Hangup> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|_| Hangup)?.to_bytes();
    if parts.uri.path().starts_with(control::PREFIX) {
        return Ok(control::answer(world, &parts, &body));
    }
    let target = Target::of(&parts, &body);
    let mut record = world.log.open(&world.clock, target.clone());
    let response = respond(world, &parts, body, &target, &mut record).await?;
    let response = if parts.method == Method::HEAD { without_body(response) } else { response };
    Ok(stamp(world, target.service, response))
}

async fn respond(
    world: &World,
    parts: &Parts,
    body: Bytes,
    target: &Target,
    record: &mut Record<'_>,
) -> Result<Response, Hangup> {
    let plan = world.faults.plan(target);
    if plan.stall > Duration::ZERO {
        sleep(plan.stall).await;
    }
    let result = match &plan.refusal {
        Some(Refusal::Drop) => {
            record.outcome(Outcome::Dropped);
            return Err(Hangup);
        }
        Some(Refusal::Error(error)) => Err(error.clone()),
        None if !is_signed(parts) => Err(AwsError::unsigned(target.service)),
        None => match world.authorize(target) {
            Ok(()) => answer(world, parts, body, target, &plan).await,
            Err(error) => Err(error),
        },
    };
    let (response, outcome) = match result {
        Ok(Reply { response, entries, failed }) => {
            record.entries(entries, failed);
            (response, Outcome::Done)
        }
        Err(error) => {
            let outcome = Outcome::Refused(error.status, error.code.to_string());
            (error.into_response(target.service), outcome)
        }
    };
    if plan.late > Duration::ZERO {
        sleep(plan.late).await;
    }
    if plan.no_answer {
        record.outcome(Outcome::Unanswered);
        return Err(Hangup);
    }
    record.outcome(outcome);
    Ok(response)
}

/// In a header, or in the URL of a presigned request. What it says is not checked.
fn is_signed(parts: &Parts) -> bool {
    parts.headers.contains_key(http::header::AUTHORIZATION)
        || parts.uri.query().is_some_and(|query| query.contains("X-Amz-Signature="))
}

async fn answer(world: &World, parts: &Parts, body: Bytes, target: &Target, plan: &Plan) -> Result<Reply, AwsError> {
    match target.service {
        Service::Sqs => {
            let host = header(&parts.headers, "host").unwrap_or("localhost");
            let (queue, origin) = (target.resource.as_str(), format!("http://{host}"));
            let context = sqs::Context { world, plan, body: &body, queue, origin };
            sqs::answer(target.action, &context).await
        }
        Service::S3 => s3::answer(world, &target.resource, target.action, parts, body),
        Service::Ssm => ssm::answer(world, target.action, &body),
        Service::SecretsManager => secrets::answer(world, target.action, &body),
        Service::Sts => sts::answer(target.action),
    }
}

/// An answer to HEAD keeps its length, and has no body that could be sent.
fn without_body(response: Response) -> Response {
    response.map(|_| Full::<Bytes>::default())
}

fn stamp(world: &World, service: Service, response: Response) -> Response {
    let name = if service == Service::S3 { "x-amz-request-id" } else { "x-amzn-requestid" };
    let mut response = with_header(response, name, &world.next_request_id());
    if world.clock.ahead() > 0 {
        // Clients compare this with their own clock.
        response = with_header(response, "date", &http_date(world.clock.now()));
    }
    response
}
