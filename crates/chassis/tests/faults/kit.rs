//! What these tests share: ports that stay ours, services that end as processes do, bare connections, and load.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::any;
use chassis::auth::Access;
use chassis::client::{Call, CallLimits, ServiceClient, ServiceUrls};
use chassis::clock::SystemClock;
use chassis::config::{ChassisConfig, Layers, Reader};
use chassis::http::Routes;
use chassis::lifecycle::{Ending, Lifecycle};
use chassis::run::{InheritedSockets, Launch, WantedPort, bind, take_ports};
use chassis::service::{Context, Identity, Service};
use chassis::telemetry::logs::{Level, LogSettings, Logs};
use chassis::telemetry::metrics::Metrics;
use chassis::testing::TestServer;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use utoipa_axum::routes;

const IDENTITY: Identity = Identity { name: "replica", short_name: "replica", about: "A service that others call." };

/// Long enough for requests to be under way while it drains; production takes 5 s.
const DRAIN_DELAY: &str = "300ms";

static ALONE: Mutex<()> = Mutex::const_new(());

/// Waits until no other test of this binary measures anything.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// What a service does for each request of `/work`.
pub(crate) type Work = Arc<dyn Fn() -> BoxFuture<'static, StatusCode> + Send + Sync>;

pub(crate) fn work<F>(answer: impl Fn() -> F + Send + Sync + 'static) -> Work
where
    F: Future<Output = StatusCode> + Send + 'static,
{
    Arc::new(move || -> BoxFuture<'static, StatusCode> { Box::pin(answer()) })
}

#[utoipa::path(get, path = "/work", responses((status = 200)))]
async fn get_work(State(work): State<Work>) -> StatusCode {
    work().await
}

#[utoipa::path(post, path = "/work", responses((status = 200)))]
async fn post_work(State(work): State<Work>) -> StatusCode {
    work().await
}

#[utoipa::path(get, path = "/other", responses((status = 200)))]
async fn get_other() -> StatusCode {
    StatusCode::OK
}

/// A port of this machine that stays ours while nothing listens there, so that whoever calls is refused and nobody else
/// takes it for a connection.
pub(crate) struct Place {
    address: SocketAddr,
    _socket: Socket,
}

impl Place {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { address, _socket: socket }
    }
}

/// A service of the chassis as a process runs it: on a thread with a runtime of its own, whose end takes everything
/// along. Dropped, it is killed.
pub(crate) struct Running {
    place: Place,
    lifecycle: Lifecycle,
    kill: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Running {
    /// Starts one there, and waits until it is ready.
    pub(crate) async fn start(place: Place, work: Work) -> Self {
        let lifecycle = Lifecycle::new();
        let (kill, killed) = oneshot::channel::<()>();
        let (tell_ready, ready) = oneshot::channel::<()>();
        let (tell_end, ended) = oneshot::channel::<()>();
        let (port, of_thread) = (place.address.port(), lifecycle.clone());
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(port, work, of_thread, tell_ready) => {}
                    _killed = killed => {}
                }
            });
            // The listener and every connection with it, whatever they were at.
            drop(runtime);
            let _somebody_waits = tell_end.send(());
        });
        ready.await.expect("the service starts");
        Self { place, lifecycle, kill, ended }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.place.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.place.address)
    }

    /// Ends it as SIGTERM does: not ready, `Connection: close` on every answer, then no more connections.
    pub(crate) async fn drain(self) -> Place {
        let Self { place, lifecycle, kill: _not_yet, ended } = self;
        lifecycle.shut_down();
        ended.await.expect("the service ends by itself");
        place
    }

    /// Ends it as SIGKILL does.
    pub(crate) async fn kill(self) -> Place {
        let Self { place, kill, ended, .. } = self;
        let _is_there = kill.send(());
        ended.await.expect("the thread of the service ends");
        place
    }
}

async fn serve(port: u16, work: Work, lifecycle: Lifecycle, ready: oneshot::Sender<()>) {
    let layers = Layers::of(&[("DRAIN_DELAY", DRAIN_DELAY)]);
    let mut reader = Reader::new(&layers);
    let config = ChassisConfig::read(&mut reader, 1, Ipv4Addr::LOCALHOST);
    let config = reader.finish(config).unwrap();
    let settings = LogSettings { level: Level::Critical, ..LogSettings::new(IDENTITY.name) };
    let (logs, _lines) = Logs::captured(settings, SystemClock::shared()).unwrap();
    let with_work = Routes::new().route(Access::Public, routes!(get_work, post_work)).with_state(work);
    let others = Routes::new().route(Access::Public, routes!(get_other));
    let service = Service::new(IDENTITY, &Context::system()).routes(with_work).routes(others);
    let wanted = WantedPort { service: IDENTITY.short_name, port, variable: "SERVICE_PORT" };
    let ports = take_ports(&config, &[wanted], InheritedSockets::none()).unwrap();
    let launch = Launch {
        services: [service].into_iter().zip(ports).collect(),
        config,
        logs,
        lifecycle,
        tokens: None,
        tls: None,
        operator_token: None,
        configuration: serde_json::Map::new(),
    };
    let tell = move || {
        let _is_waited_for = ready.send(());
    };
    let ending = bind(launch).unwrap().run(tell).await.unwrap();
    assert_eq!(ending, Ending::Clean);
}

/// A server without anything around it that answers as it is told, by the number of the request, and counts them.
pub(crate) struct Counting {
    server: TestServer,
    asked: Arc<AtomicUsize>,
}

impl Counting {
    pub(crate) async fn start<F>(answer: impl Fn(usize) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = StatusCode> + Send + 'static,
    {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let handler = any(move || answer(counter.fetch_add(1, Ordering::Relaxed)));
        Self { server: TestServer::start(Router::new().fallback(handler)).await, asked }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Takes connections on any free port until the set is dropped, and gives each to `serve`.
pub(crate) async fn accepting<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (String, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _peer) = listener.accept().await.unwrap();
            connections.spawn(serve(stream));
        }
    });
    (url, accepting)
}

/// The head of what comes next; `None` where the other side has ended.
pub(crate) async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !matches!(stream.read_line(&mut head).await, Ok(1..)) {
            return None;
        }
    }
    Some(head)
}

/// How many bytes the head announces.
pub(crate) fn announced(head: &str) -> usize {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(0, |(_, length)| length.trim().parse().unwrap())
}

/// A caller without any care: one connection, and what is sent on it.
pub(crate) struct Caller(BufReader<TcpStream>);

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Asks; the lines of `headers` end with `\r\n`.
    pub(crate) async fn ask(&mut self, path: &str, headers: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// The status of the answer, which is read whole.
    pub(crate) async fn answer(&mut self) -> u16 {
        let head = read_head(&mut self.0).await.expect("an answer");
        let mut body = vec![0; announced(&head)];
        self.0.read_exact(&mut body).await.unwrap();
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Leaves for good, so that nobody can take it for the end of what there is to ask.
    pub(crate) fn reset(self) {
        self.0.get_ref().set_zero_linger().unwrap();
    }
}

/// A client of the replicas that are there.
pub(crate) fn client(urls: &[String], timeout: Duration) -> ServiceClient {
    let urls: ServiceUrls = urls.join(",").parse().unwrap();
    let limits = CallLimits { timeout, ..CallLimits::default() };
    ServiceClient::new("replica", urls, limits, &Metrics::new("caller", "1")).unwrap()
}

/// Makes a call, and tells the status of the answer; 0 where there was none.
pub(crate) async fn status(call: Call<'_>) -> u16 {
    call.send().await.map_or(0, |answer| answer.status().as_u16())
}

/// The answer of a service that needs another one for it. Unlike our own errors it does not say when to ask again, so
/// that whoever asked may do so soon: the worst case.
pub(crate) async fn answer_by(other: &ServiceClient) -> StatusCode {
    match status(other.get(&["work"])).await {
        200 => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// For [`load`] and [`paced`]: calls `/work`, and tells the status.
pub(crate) fn calls(
    client: ServiceClient,
    method: Method,
) -> impl Fn(usize) -> BoxFuture<'static, u16> + Clone + Send + Sync + 'static {
    move |_number| -> BoxFuture<'static, u16> {
        let (client, method) = (client.clone(), method.clone());
        Box::pin(async move { status(client.call(method, &["work"])).await })
    }
}

/// Makes so many calls from so many callers, each of which waits for its answer before it makes the next.
pub(crate) async fn load<F, T>(
    many: usize,
    callers: usize,
    call: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (next, call) = (Arc::clone(&next), call.clone());
        tasks.spawn(async move {
            let mut ended = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= many {
                    return ended;
                }
                ended.push(call(number).await);
            }
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Makes so many calls a second for so long, whether or not those before have ended.
pub(crate) async fn paced<F, T>(
    each_second: u32,
    lasting: Duration,
    call: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    let mut made = 0;
    while begun.elapsed() < lasting {
        // By the clock and not by counting pauses, which a busy machine makes longer.
        let due = (begun.elapsed().as_secs_f64() * f64::from(each_second)) as usize;
        while made < due {
            calls.spawn(call(made));
            made += 1;
        }
        sleep(Duration::from_millis(1)).await;
    }
    calls.join_all().await
}
