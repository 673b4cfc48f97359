//! Services that are known by their IAM roles, each in a process of its own, with credentials from where the AWS SDK
//! finds them. STS is an emulator that knows whose a key is, and checks no signature.

use serde_json::{Value, json};

use crate::emulators::{ministack, moto};
use crate::launch::Launch;
use crate::production::serve;
use crate::system::{Answer, System, eventually};

const PRIVATE_KEY: &str = include_str!("../../../chassis/src/auth/tokens/testdata/for_tests_only_p256.pem");
const ORDERS: &str = "arn:aws:iam::123456789012:role/orders";
const STRANGER: &str = "arn:aws:iam::123456789012:role/stranger";

/// This service in production, with the environment of a task that has the role.
async fn with_role(service: &str, role: &str, sts: &str) -> Launch {
    let form = format!("Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=task");
    let signed_for = "AWS4-HMAC-SHA256 Credential=AKIDEMULATOR/20250101/us-east-1/sts/aws4_request, \
                      SignedHeaders=host, Signature=0";
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let assume = http.post(sts).header("authorization", signed_for).body(form);
    let assume = assume.header("content-type", "application/x-www-form-urlencoded");
    let assumed = assume.send().await.unwrap().text().await.unwrap();
    let part = |name: &str| {
        let (_, after) = assumed.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{assumed}"));
        after.split_once('<').unwrap().0.to_owned()
    };
    let launch = serve(&[service]).env("SERVICE_IDENTITY", "aws").env("AWS_ENDPOINT_URL", sts);
    let launch = launch.env("AWS_ACCESS_KEY_ID", &part("AccessKeyId"));
    let launch = launch.env("AWS_SECRET_ACCESS_KEY", &part("SecretAccessKey"));
    launch.env("AWS_SESSION_TOKEN", &part("SessionToken"))
}

async fn users(sts: &str) -> System {
    let identities = json!([{ "identity": ORDERS, "scopes": ["analytics:write"] }]).to_string();
    let users = serve(&["users"]).env("AWS_ENDPOINT_URL", sts).env("SERVICE_IDENTITIES", &identities);
    let key = users.path("key.pem");
    std::fs::write(&key, PRIVATE_KEY).unwrap();
    users.env("JWT_SECRET_KEY", &format!("file:{}", key.display())).start().await
}

fn operator(users: &System) -> String {
    let scopes = ["users:read", "users:write", "orders:write", "analytics:read"];
    let args: Vec<_> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
    let output = users.launch.args(&[&["token", "issue"], &args[..]].concat()).run();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn order(orders: &System, users: &System, token: &str, email: &str) {
    let user = json!({ "name": "John Doe", "email": email });
    let user = Answer::of(users.post("users", "/api/v1/users").bearer_auth(token).json(&user)).await.json();
    let item = json!({ "product_id": "p", "product_name": "Pen", "quantity": 1, "price": 1 });
    let order = json!({ "user_id": user["id"], "items": [item], "shipping_address": "Here" });
    let answer = Answer::of(orders.post("orders", "/api/v1/orders").bearer_auth(token).json(&order)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn told(analytics: &System, token: &str) -> Value {
    let stats = Answer::of(analytics.get("analytics", "/api/v1/analytics/stats").bearer_auth(token)).await;
    stats.json()["data"]["events_by_type"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_known_by_its_role_without_a_secret_and_one_with_another_role_is_not() {
    for sts in [ministack(), moto()].into_iter().flatten() {
        let users = users(&sts).await;
        let users_url = users.url("users");
        let analytics = serve(&["analytics"]).env("EVENTS_URL", "memory:").env("USER_SERVICE_URL", &users_url);
        let analytics = analytics.start().await;
        let at = |launch: Launch| {
            launch.env("USER_SERVICE_URL", &users_url).env("ANALYTICS_SERVICE_URL", &analytics.url("analytics"))
        };
        let token = operator(&users);

        let stranger = at(with_role("orders", STRANGER, &sts).await).start().await;
        order(&stranger, &users, &token, "one@example.com").await;
        eventually("the stranger is refused", || users.stdout().contains("role/stranger is not allowed").then_some(()))
            .await;
        eventually("and says so", || stranger.stdout().contains("is its role among SERVICE_IDENTITIES").then_some(()))
            .await;
        assert_eq!(told(&analytics, &token).await, json!({}));

        let orders = at(with_role("orders", ORDERS, &sts).await).start().await;
        order(&orders, &users, &token, "two@example.com").await;
        let mut events = Value::Null;
        for _ in 0..200 {
            events = told(&analytics, &token).await;
            if events == json!({ "order_created": 1 }) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(events, json!({ "order_created": 1 }), "{}", orders.stdout());
        // The log is written beside the answers.
        let issued = format!("issued a token to the service {ORDERS}");
        eventually("users says whom it knows", || users.stdout().contains(&issued).then_some(())).await;
    }
}
