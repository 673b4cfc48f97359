//! The configuration file changes while a service runs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::gateway::get;
use crate::production::serve;
use crate::system::{Answer, System, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

/// The file that names these services, each in the process of a system.
fn file(services: &[(&str, &str, &System)]) -> String {
    let entry = |(name, short, system): &(&str, &str, &System)| {
        let url: reqwest::Url = system.url(short).parse().unwrap();
        format!("{{ name = \"{name}\", endpoint = \"127.0.0.1\", port = {} }}", url.port().unwrap())
    };
    let entries: Vec<_> = services.iter().map(entry).collect();
    format!("consumer_services = [{}]\n", entries.join(", "))
}

async fn users(gateway: &System) -> Value {
    let listed = Answer::of(get(gateway, "/api/v1/users")).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    listed.json()
}

#[tokio::test]
async fn services_that_the_file_moves_or_adds_are_called_there_without_a_restart() {
    let (one, other) = (System::up().await, System::up().await);
    let launch = serve(&["gateway"]);
    let path = launch.path("keelson.toml");
    std::fs::write(&path, file(&[("user-service", "users", &one)])).unwrap();
    let gateway = launch.env("KEELSON_CONFIG", path.to_str().unwrap()).start().await;
    let john = json!({ "name": "John Doe", "email": "john@example.com" });
    assert_eq!(Answer::of(gateway.post("gateway", "/api/v1/users").json(&john)).await.status, 201);
    assert_eq!(users(&gateway).await.as_array().unwrap().len(), 1);

    std::fs::write(&path, file(&[("user-service", "users", &other), ("order-service", "orders", &other)])).unwrap();
    let begun = Instant::now();
    while users(&gateway).await != json!([]) {
        assert!(begun.elapsed() < PATIENCE, "users is where it was");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(Answer::of(get(&gateway, "/api/v1/orders")).await.status, 200, "orders turned up");

    std::fs::write(&path, "consumer_services = [{ name = 1 }]\n").unwrap();
    eventually("the log says what is wrong", || {
        let log = gateway.stdout();
        log.lines().any(|line| line.contains("stays as it was") && line.contains("CONSUMER_SERVICES")).then_some(())
    })
    .await;
    assert_eq!(users(&gateway).await, json!([]));
}
