//! Users while the process is killed between a commit and its answer: what was acknowledged is there, nothing is there
//! by half, and a request that is sent again has one effect and one answer.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::launch::Launch;
use crate::postgres_server::Server;
use crate::restart::{CLIENTS, LONGEST_LIFE};
use crate::system::{Answer, System};

const USERS: &str = "/api/v1/users";
const REGISTER: &str = "/api/v1/users/register";
const PASSWORD: &str = "correct horse battery";
/// What a change sets.
const AGE: u8 = 42;

/// A hash takes some 20 ms, and longer where a hundred senders take the processor.
const LONGEST_STORM: Duration = Duration::from_millis(300);

/// How far somebody has come. A client asks for one stage after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Absent,
    Created,
    Changed,
    Deleted,
}

/// Somebody whom one client creates, changes and perhaps deletes.
#[derive(Debug)]
struct Person {
    name: String,
    is_registered: bool,
    /// The last stage that was answered, and the last one that was asked for.
    acknowledged: Stage,
    asked: Stage,
    /// The answer to the creation.
    created: Value,
}

impl Person {
    fn new(name: String, is_registered: bool) -> Self {
        Self { name, is_registered, acknowledged: Stage::Absent, asked: Stage::Absent, created: Value::Null }
    }

    fn email(&self) -> String {
        format!("{}@example.com", self.name)
    }

    fn id(&self) -> &str {
        let id = if self.is_registered { &self.created["data"]["user_id"] } else { &self.created["id"] };
        id.as_str().unwrap()
    }

    fn path(&self) -> String {
        format!("{USERS}/{}", self.id())
    }

    /// The request for a stage, and the status that grants it.
    fn ask(&self, service: &Service, stage: Stage) -> (RequestBuilder, u16) {
        let request = |method, path: &str| service.http.request(method, format!("{}{path}", service.url));
        match stage {
            Stage::Changed => (request(Method::PUT, &self.path()).json(&json!({ "age": AGE })), 200),
            Stage::Deleted => (request(Method::DELETE, &self.path()), 204),
            Stage::Absent | Stage::Created => {
                let (path, body, status) = if self.is_registered {
                    (REGISTER, json!({ "username": self.name, "email": self.email(), "password": PASSWORD }), 200)
                } else {
                    (USERS, json!({ "name": self.name, "email": self.email() }), 201)
                };
                (request(Method::POST, path).header("idempotency-key", &self.name).json(&body), status)
            }
        }
    }

    /// Whether the stage was answered. A killed process answers nothing; no answer may be a refusal.
    async fn go_to(&mut self, service: &Service, stage: Stage) -> bool {
        self.asked = stage;
        let (request, status) = self.ask(service, stage);
        let Ok(answer) = Answer::try_of(request).await else { return false };
        assert_eq!(answer.status, status, "{self:?}: {answer:?}");
        if stage == Stage::Created {
            self.created = answer.json();
        }
        self.acknowledged = stage;
        true
    }

    /// The creation once more: the same answer as before, if there was one. Whether it was done already.
    async fn create_again(&mut self, service: &Service) -> bool {
        let (request, status) = self.ask(service, Stage::Created);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{self:?}: {answer:?}");
        if !self.created.is_null() {
            assert_eq!(answer.json(), self.created, "{self:?}: another answer");
        }
        self.created = answer.json();
        answer.header("idempotency-replayed") == "true"
    }

    /// How far it has come in the store; panics where that is by half.
    async fn found(&self, service: &Service) -> Stage {
        let answer = Answer::of(service.http.get(format!("{}{}", service.url, self.path()))).await;
        if answer.status == 404 {
            return Stage::Deleted;
        }
        let user = answer.json();
        let is = |member: &str, value: &str| assert_eq!(user[member], value, "{self:?}: {answer:?}");
        is("id", self.id());
        is("name", &self.name);
        is("email", &self.email());
        match (&user["age"], answer.header("etag")) {
            (Value::Null, "\"1\"") => Stage::Created,
            (age, "\"2\"") if *age == AGE => Stage::Changed,
            _ => panic!("{self:?} is there by half: {answer:?}"),
        }
    }

    /// After a restart. Whether something was done and not answered.
    async fn check(&mut self, service: &Service) -> bool {
        if self.acknowledged == Stage::Absent {
            let was_done = self.create_again(service).await;
            self.acknowledged = Stage::Created;
            assert!(self.create_again(service).await && self.found(service).await == Stage::Created, "{self:?}");
            return was_done;
        }
        let found = self.found(service).await;
        assert!([self.acknowledged, self.asked].contains(&found), "{self:?} is found as {found:?}");
        let was_done = found > self.acknowledged;
        (self.acknowledged, self.asked) = (found, found);
        was_done
    }
}

/// Where users are now: each start takes another port.
#[derive(Clone)]
struct Service {
    http: reqwest::Client,
    url: String,
}

impl Service {
    fn of(system: &System) -> Self {
        Self { http: system.http.clone(), url: system.url("users") }
    }

    /// Everybody there is, by address.
    async fn emails(&self) -> Vec<String> {
        let mut emails = Vec::new();
        loop {
            let page = format!("{}{USERS}?limit=1000&skip={}", self.url, emails.len());
            let answer = Answer::of(self.http.get(page)).await;
            let users = answer.json();
            let users = users.as_array().unwrap_or_else(|| panic!("{answer:?}"));
            emails.extend(users.iter().map(|user| user["email"].as_str().unwrap().to_owned()));
            if users.is_empty() {
                assert_eq!(answer.header("x-total-count"), emails.len().to_string());
                return emails;
            }
        }
    }
}

/// Creates, changes and deletes until nobody answers any more.
async fn work(service: Service, name: String) -> Vec<Person> {
    let mut people = Vec::new();
    for number in 0.. {
        let mut person = Person::new(format!("{name}-{number}"), number % 4 == 1);
        let stages = [Stage::Created, Stage::Changed, Stage::Deleted];
        let mut is_answered = true;
        for stage in &stages[..if number % 3 == 0 { 3 } else { 2 }] {
            is_answered = is_answered && person.go_to(&service, *stage).await;
        }
        people.push(person);
        if !is_answered {
            break;
        }
    }
    people
}

/// What is left of a life under load: everybody whom the store holds or may hold. Each client leaves one request open.
async fn kill_under_load(system: &mut System, round: usize, life: Duration) -> Vec<Person> {
    let service = Service::of(system);
    let clients: JoinSet<_> = (0..CLIENTS).map(|it| work(service.clone(), format!("r{round}-c{it}"))).collect();
    sleep(life).await;
    system.kill();
    clients.join_all().await.into_iter().flatten().collect()
}

/// Who registered and was answered, or was told so when asked again, has a password.
async fn log_in(people: &[Person], service: &Service) {
    let registered = people.iter().filter(|person| person.is_registered && person.acknowledged != Stage::Deleted);
    for person in registered.take(CLIENTS) {
        let body = json!({ "username": person.name, "password": PASSWORD });
        let answer = Answer::of(service.http.post(format!("{}{USERS}/login", service.url)).json(&body)).await;
        assert_eq!(answer.status, 200, "{person:?}: {answer:?}");
    }
}

/// Answers how many of the open requests were done before the kill.
async fn survive(launch: &Launch, rounds: usize) -> usize {
    let (mut dice, mut all, mut unanswered) = (Dice::new(), Vec::<Person>::new(), 0);
    let mut system = launch.start().await;
    for round in 0..rounds {
        // Long enough for some load.
        let life = LONGEST_LIFE.mul_f64(0.2 + 0.8 * dice.fraction());
        let mut people = kill_under_load(&mut system, round, life).await;
        drop(system);
        system = launch.start().await;
        let service = Service::of(&system);
        let mut done = 0;
        for person in &mut people {
            done += usize::from(person.check(&service).await);
        }
        log_in(&people, &service).await;
        println!("round {round}: killed after {life:?}, {} people, {done} of the open requests done", people.len());
        unanswered += done;
        all.append(&mut people);
    }
    let service = Service::of(&system);
    let emails = service.emails().await;
    let expected = all.iter().filter(|person| person.acknowledged != Stage::Deleted).map(Person::email);
    assert_eq!(emails.iter().cloned().collect::<BTreeSet<_>>(), expected.collect());
    assert_eq!(emails.iter().collect::<BTreeSet<_>>().len(), emails.len(), "somebody is there twice");
    for person in all.iter_mut().filter(|person| !person.is_registered) {
        assert!(person.create_again(&service).await, "{person:?}: the answer is forgotten");
    }
    assert_eq!(service.emails().await.len(), emails.len());
    let changed = all.iter().filter(|person| person.acknowledged > Stage::Created).count();
    assert!(changed > 0, "there was no load: {changed} of {} people were changed", all.len());
    unanswered
}

/// Posts until it is done; `None` where nobody answers any more.
async fn register_once(service: Service, name: String) -> Option<Value> {
    let mut person = Person::new(name, true);
    let (request, _) = person.ask(&service, Stage::Created);
    loop {
        let answer = Answer::try_of(request.try_clone().unwrap()).await.ok()?;
        match answer.status {
            200 => break person.created = answer.json(),
            // Another one is being worked on, and is to have the processor.
            409 => sleep(Duration::from_millis(100)).await,
            _ => panic!("{answer:?}"),
        }
    }
    Some(person.created)
}

/// Many send the same registration at once, to every process, of which the first is killed meanwhile.
async fn storm(systems: &mut [System], name: &str, life: Duration) -> Vec<Value> {
    const SENDERS: usize = 100;
    let services: Vec<Service> = systems.iter().map(Service::of).collect();
    let send = |number: usize| register_once(services[number % services.len()].clone(), name.to_owned());
    let senders: JoinSet<_> = (0..SENDERS).map(send).collect();
    sleep(life).await;
    systems[0].kill();
    let before: Vec<Value> = senders.join_all().await.into_iter().flatten().collect();
    systems[0] = systems[0].launch.clone().start().await;

    let services: Vec<Service> = systems.iter().map(Service::of).collect();
    let again = services.iter().flat_map(|service| [service; 3]).cloned();
    let after = join_all(again.map(|service| register_once(service, name.to_owned()))).await;
    println!("{name}: killed after {life:?}, {} of {SENDERS} answered before", before.len());
    before.into_iter().chain(after.into_iter().map(Option::unwrap)).collect()
}

async fn survive_storms(launches: &[Launch], rounds: usize) {
    let mut dice = Dice::new();
    let mut systems = join_all(launches.iter().map(Launch::start)).await;
    for round in 0..rounds {
        let name = format!("storm-{round}");
        let life = LONGEST_STORM.mul_f64(dice.fraction());
        let answers = storm(&mut systems, &name, life).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{name} has several answers: {answers:?}");
        let emails = Service::of(&systems[0]).emails().await;
        let is_there_once = emails.iter().filter(|email| email.starts_with(&format!("{name}@"))).count() == 1;
        assert!(is_there_once && emails.len() == round + 1, "{emails:?}");
    }
}

fn on(server: &Server) -> Launch {
    Launch::up().env("DATABASE_URL", &server.url("postgres"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_keeps_what_it_answered_and_nothing_by_half_on_sqlite() {
    survive(&Launch::up(), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_keeps_what_it_answered_and_nothing_by_half_on_postgresql() {
    let Some(server) = Server::start() else { return };
    survive(&on(&server), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn a_service_that_is_killed_fifty_times_keeps_what_it_answered_and_nothing_by_half_on_sqlite() {
    assert!(survive(&Launch::up(), 50).await > 0, "no kill came between a commit and its answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn a_service_that_is_killed_fifty_times_keeps_what_it_answered_and_nothing_by_half_on_postgresql() {
    let Some(server) = Server::start() else { return };
    assert!(survive(&on(&server), 50).await > 0, "no kill came between a commit and its answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_sent_a_hundred_times_through_a_crash_makes_one_user_on_sqlite() {
    survive_storms(&[Launch::up()], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_sent_a_hundred_times_to_two_processes_through_a_crash_makes_one_user_on_postgresql() {
    let Some(server) = Server::start() else { return };
    survive_storms(&[on(&server), on(&server)], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn fifty_requests_that_are_sent_a_hundred_times_through_a_crash_make_fifty_users_on_sqlite() {
    survive_storms(&[Launch::up()], 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn fifty_requests_that_are_sent_a_hundred_times_through_a_crash_make_fifty_users_on_postgresql() {
    let Some(server) = Server::start() else { return };
    survive_storms(&[on(&server), on(&server)], 50).await;
}
