//! Services that have names, whose addresses change.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

/// In seconds; the least that is believed.
const TTL: u32 = 1;
const EXPIRED: Duration = Duration::from_millis(1300);

/// A name server on this machine. Answers until it is dropped.
struct NameServer {
    config: ResolverConfig,
    records: Arc<Mutex<BTreeMap<Name, Vec<RData>>>>,
    _serving: JoinSet<()>,
}

impl NameServer {
    async fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut connection = ConnectionConfig::udp();
        connection.port = socket.local_addr().unwrap().port();
        let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]);
        let records = Arc::new(Mutex::new(BTreeMap::new()));
        let mut serving = JoinSet::new();
        serving.spawn(serve(socket, Arc::clone(&records)));
        Self { config: ResolverConfig::from_name_servers(vec![server]), records, _serving: serving }
    }

    fn set(&self, name: &str, records: Vec<RData>) {
        self.records.lock().unwrap().insert(Name::from_ascii(name).unwrap(), records);
    }

    /// Addresses of `users.test.`.
    fn move_users(&self, addresses: &[Ipv4Addr]) {
        self.set("users.test.", addresses.iter().map(|address| RData::A(A(*address))).collect());
    }

    fn client(&self, url: &str) -> ServiceClient {
        let places = Places::from(url.parse::<ServiceUrls>().unwrap());
        let metrics = Metrics::new("order-service", "1");
        let surroundings = Surroundings { servers: Some(self.config.clone()), tls: None };
        ServiceClient::within(surroundings, "user-service".into(), places, PATIENT, &metrics).unwrap()
    }
}

async fn serve(socket: UdpSocket, records: Arc<Mutex<BTreeMap<Name, Vec<RData>>>>) {
    let mut buffer = [0; 4096];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let mut message = Message::from_vec(&buffer[..length]).unwrap();
        let query = message.queries[0].clone();
        let known = records.lock().unwrap().get(query.name()).cloned();
        let mut answer = { std::mem::replace(&mut message, Message::query()).into_response() };
        match known {
            None => answer.metadata.response_code = ResponseCode::NXDomain,
            Some(known) => {
                let asked = |data: &RData| data.record_type() == query.query_type();
                let record = |data| Record::from_rdata(query.name().clone(), TTL, data);
                answer.add_answers(known.into_iter().filter(asked).map(record));
            }
        }
        let _left = socket.send_to(&answer.to_vec().unwrap(), peer).await;
    }
}

/// A replica on this address of this machine, which answers its number.
async fn replica(address: SocketAddr, number: u16) -> TestServer {
    TestServer::start_at(address, Router::new().fallback(any(async move || number.to_string()))).await
}

const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const TWO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 12);

/// Two replicas on one port of two addresses, and the port.
async fn replicas() -> (TestServer, TestServer, u16) {
    let one = replica((ONE, 0).into(), 1).await;
    let port = one.address().port();
    (one, replica((TWO, port).into(), 2).await, port)
}

/// Who answers so many calls at once, without one that fails.
async fn answering(client: &ServiceClient, calls: usize) -> String {
    let answers = join_all((0..calls).map(|_| client.get(&["users"]).send())).await;
    let texts = answers.into_iter().map(|answer| String::from_utf8(answer.unwrap().body().to_vec()).unwrap());
    texts.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" and ")
}

#[tokio::test]
async fn each_address_of_a_name_is_a_replica_and_is_asked_by_the_name() {
    let names = NameServer::start().await;
    names.move_users(&[ONE, TWO]);
    let echo = TestServer::start_at((ONE, 0).into(), Router::new().fallback(echo)).await;
    let (_one, _two, port) = replicas().await;
    assert_eq!(answering(&names.client(&format!("http://users.test:{port}")), 30).await, "1 and 2");
    names.move_users(&[ONE]);
    let echoing = names.client(&format!("http://users.test:{}/base", echo.address().port()));
    let asked = echoed(echoing.get(&["users"])).await;
    assert_eq!(asked["headers"]["host"], format!("users.test:{}", echo.address().port()));
    assert_eq!(asked["target"], "/base/users");
}

#[tokio::test]
async fn a_replica_that_comes_or_moves_is_found_when_the_answer_expires() {
    let names = NameServer::start().await;
    let (one, _two, port) = replicas().await;
    names.move_users(&[ONE]);
    let client = names.client(&format!("http://users.test:{port}"));
    assert_eq!(answering(&client, 20).await, "1");
    names.move_users(&[ONE, TWO]);
    sleep(EXPIRED).await;
    // The first call finds the answer expired and lets it be looked up; it does not wait.
    answering(&client, 1).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(answering(&client, 30).await, "1 and 2");
    names.move_users(&[TWO]);
    drop(one);
    sleep(EXPIRED).await;
    answering(&client, 1).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(answering(&client, 30).await, "2");
}

#[tokio::test]
async fn a_service_with_one_address_that_moves_is_followed_at_the_first_refused_connection() {
    let names = NameServer::start().await;
    let (one, _two, port) = replicas().await;
    names.move_users(&[ONE]);
    let client = names.client(&format!("http://users.test:{port}"));
    assert_eq!(answering(&client, 3).await, "1");
    names.move_users(&[TWO]);
    drop(one);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(answering(&client, 10).await, "2");
}

#[tokio::test]
async fn while_no_name_server_answers_calls_go_where_the_service_was() {
    let names = NameServer::start().await;
    let (_one, _two, port) = replicas().await;
    names.move_users(&[ONE]);
    let client = names.client(&format!("http://users.test:{port}"));
    assert_eq!(answering(&client, 3).await, "1");
    drop(names);
    for _ in 0..3 {
        sleep(Duration::from_millis(700)).await;
        assert_eq!(answering(&client, 3).await, "1");
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_no_endpoint_and_is_found_once_somebody_does() {
    let names = NameServer::start().await;
    let (_one, _two, port) = replicas().await;
    let client = names.client(&format!("http://users.test:{port}"));
    let error = client.get(&["users"]).send().await.unwrap_err();
    let CallFailure::NoEndpoint(cause) = error.failure() else { panic!("{error}") };
    assert!(cause.contains(&format!("`users.test:{port}`")), "{cause}");
    assert_eq!(client.observed().status, ObservedStatus::Unavailable);
    names.move_users(&[ONE]);
    sleep(EXPIRED).await;
    assert_eq!(answering(&client, 3).await, "1");
    assert_eq!(client.observed().status, ObservedStatus::Available);
}

#[tokio::test]
async fn service_records_tell_hosts_and_ports_and_the_lowest_priority_counts() {
    let names = NameServer::start().await;
    let (one, two) = (replica((ONE, 0).into(), 1).await, replica((ONE, 0).into(), 2).await);
    let spare = replica((TWO, 0).into(), 3).await;
    let record = |priority, server: &TestServer, host: &str| {
        RData::SRV(SRV::new(priority, 10, server.address().port(), Name::from_ascii(host).unwrap()))
    };
    names.move_users(&[ONE]);
    names.set("spare.test.", vec![RData::A(A(TWO))]);
    let all = vec![record(1, &one, "users.test."), record(1, &two, "users.test."), record(2, &spare, "spare.test.")];
    names.set("_users._tcp.test.", all);
    let client = names.client("http://_users._tcp.test");
    assert_eq!(answering(&client, 30).await, "1 and 2");
    assert_eq!(spare.connections(), 0);
}

#[tokio::test]
async fn a_service_that_the_configuration_moves_is_called_there_from_then_on() {
    let (one, two, _port) = replicas().await;
    let client = client_of(&one.url());
    assert_eq!(answering(&client, 5).await, "1");
    let places = client.places().clone();
    places.change(format!("{},{}", one.url(), two.url()).parse().unwrap());
    assert_eq!(answering(&client, 30).await, "1 and 2");
    places.change(two.url().parse().unwrap());
    assert_eq!(answering(&client, 5).await, "2");
}
