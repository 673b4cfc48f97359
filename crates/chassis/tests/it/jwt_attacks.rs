//! Forged tokens over HTTP: the attacks that RFC 8725 and the tools of testers (`jwt_tool`, the JWT attacks of Burp) know.
//! Each is answered 401 with one body, and nothing that a token names is fetched.

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chassis::auth::Access;
use chassis::clock::Clock as _;
use chassis::http::Routes;
use chassis::service::{Context, Identity, Service};
use chassis::testing::{TestApp, TestServer};
use http::{Method, header};
use serde_json::{Value, json};
use utoipa_axum::routes;

const IDENTITY: Identity = Identity { name: "test-service", short_name: "test", about: "A service under test." };
/// What the tokens of `TestApp` are signed with.
const SECRET: &str = "the-secret-that-signs-tokens-of-tests";

fn service(context: &Context) -> Service {
    Service::new(IDENTITY, context).routes(Routes::new().route(Access::Scope("things:read"), routes!(read)))
}

#[utoipa::path(get, path = "/things", responses((status = 200)))]
async fn read() -> &'static str {
    "things"
}

fn base64url(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn signed(header: &str, claims: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", base64url(header), base64url(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64url(tag))
}

/// Claims that would be good.
fn claims(app: &TestApp) -> Value {
    let now = app.clock.now().as_second();
    json!({
        "sub": "ann", "username": "ann", "scope": "things:read", "iss": "keelson", "aud": "keelson",
        "iat": now, "exp": now + 3600, "jti": "0197543e-1808-7118-b0d3-641a68f94a69",
    })
}

/// No key, or one that everybody can guess.
fn without_the_key(claims: &str, canary: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let body = base64url(claims);
    for alg in
        [json!("none"), json!("None"), json!("NONE"), json!("nOnE"), json!(""), json!(null), json!(0), json!(["none"])]
    {
        let header = base64url(json!({ "alg": alg, "typ": "JWT" }).to_string());
        tokens.extend([format!("{header}.{body}."), format!("{header}.{body}"), format!("{header}.{body}.AAAA")]);
    }
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    for secret in ["", "secret", "password", "changeme", "your-256-bit-secret", "key", "keelson", "\0"] {
        tokens.push(signed(header, claims, secret.as_bytes()));
    }
    // An id of a key that names a file of known content, a table or a command.
    for kid in [
        "/dev/null",
        "../../../../../../dev/null",
        "' UNION SELECT '",
        "x' UNION SELECT 'secret';--",
        "|id",
        "$(id)",
        canary,
    ] {
        tokens.push(signed(&json!({ "alg": "HS256", "kid": kid }).to_string(), claims, b""));
        tokens.push(signed(&json!({ "alg": "HS256", "kid": kid }).to_string(), claims, b"secret"));
    }
    // Keys that the token brings along, or says where to fetch.
    let own = json!({ "kty": "oct", "k": base64url("the attacker's own key, long enough") });
    for header in [
        json!({ "alg": "HS256", "jwk": own }),
        json!({ "alg": "HS256", "jku": format!("{canary}/jwks.json"), "kid": "1" }),
        json!({ "alg": "RS256", "jku": format!("{canary}/jwks.json"), "kid": "1" }),
        json!({ "alg": "HS256", "x5u": format!("{canary}/cert.pem") }),
        json!({ "alg": "RS256", "x5u": format!("{canary}/cert.pem") }),
        json!({ "alg": "HS256", "x5c": [STANDARD.encode("no certificate")] }),
    ] {
        tokens.push(signed(&header.to_string(), claims, b"the attacker's own key, long enough"));
    }
    for alg in ["RS256", "ES256", "PS256", "EdDSA", "HS384", "HS512", "ES256K", "dir", "A128KW"] {
        tokens.push(signed(&json!({ "alg": alg }).to_string(), claims, b""));
        // A signature of zeros, which some verifiers of ECDSA took.
        let header = base64url(json!({ "alg": alg }).to_string());
        tokens.push(format!("{header}.{body}.{}", base64url([0; 64])));
    }
    tokens
}

/// Signed with the right key, and still no good token.
fn with_the_key(app: &TestApp, canary: &str) -> Vec<String> {
    let (good, now) = (claims(app), app.clock.now().as_second());
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let sign = |claims: &str| signed(header, claims, SECRET.as_bytes());
    let mut tokens = Vec::new();
    for (member, value) in [
        ("exp", json!(now)),
        ("exp", json!(now - 3600)),
        ("exp", json!("4102444800")),
        ("exp", json!(null)),
        ("exp", json!(-1)),
        ("exp", json!({})),
        ("nbf", json!(now + 1)),
        ("iat", json!(now + 3600)),
        ("iss", json!("evil")),
        ("iss", json!(["keelson"])),
        ("iss", json!(canary)),
        ("iss", json!("")),
        ("iss", json!("keelson ")),
        ("aud", json!("other")),
        ("aud", json!(null)),
        ("aud", json!("KEELSON")),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!(null)),
        ("scope", json!(["things:read"])),
    ] {
        let mut claims = good.clone();
        claims[member] = value;
        tokens.push(sign(&claims.to_string()));
    }
    for missing in ["sub", "iss", "aud", "iat", "exp"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().shift_remove(missing);
        tokens.push(sign(&claims.to_string()));
    }
    let text = good.to_string();
    let (listed, doubled) = (format!("[{text}]"), text.replacen('{', r#"{"sub":"root","#, 1));
    let endless = text.replace(&(now + 3600).to_string(), "1e400");
    for claims in ["", "null", "[]", "7", "{}", "no JSON", &listed, &format!("{text}{text}"), &doubled, &endless] {
        tokens.push(sign(claims));
    }
    for header in [
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","typ":"JWE"}"#,
        r#"{"alg":"HS256","typ":"dpop+jwt"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"typ":"JWT"}"#,
        "[]",
        "null",
        "",
        "no JSON",
        r#"{"alg":"hs256"}"#,
    ] {
        tokens.push(signed(header, &text, SECRET.as_bytes()));
    }
    tokens
}

/// A good token that somebody has changed.
fn changed(good: &str, claims: &Value) -> Vec<String> {
    let parts: Vec<&str> = good.split('.').collect();
    let (header, body, signature) = (parts[0], parts[1], parts[2]);
    let mut richer = claims.clone();
    richer["scope"] = "things:read ops:write".into();
    let richer = base64url(richer.to_string());
    vec![
        format!("{header}.{richer}.{signature}"),
        format!("{header}.{body}."),
        format!("{header}.{body}"),
        format!("{header}.{body}.{}", &signature[..signature.len() - 1]),
        format!("{header}.{body}.{signature}="),
        format!("{header}.{body}.{signature}.{signature}"),
        format!("{header}.{body}.{signature}.{header}.{body}"),
        format!(".{body}.{signature}"),
        format!("{header}..{signature}"),
        format!("{header}.{body}.{}", STANDARD.encode([0xff; 32])),
        format!("{header}.{body}.{signature}{}", "A".repeat(9000)),
        format!("{good} {good}"),
        format!("{good},{good}"),
        format!("\"{good}\""),
        json!({ "payload": body, "protected": header, "signature": signature }).to_string(),
        good.to_uppercase(),
        good.replace('.', "%2e"),
        "..".into(),
        String::new(),
        "null".into(),
        "undefined".into(),
    ]
}

#[tokio::test]
async fn no_forged_token_is_taken_and_all_are_answered_alike_without_a_fetch() {
    let canary = TestServer::start(Router::new().fallback(async || "{}")).await;
    for settings in [&[][..], &[("PRODUCTION", "true"), ("INTERNAL_PORT", "0"), ("RATE_LIMIT", "0")]] {
        let app = TestApp::start_with(settings, service);
        let good = app.token("ann", &["things:read"]);
        app.ask_as(&good, Method::GET, "/things", Body::empty()).await.expect(200);
        let claims = claims(&app);
        let text = claims.to_string();
        let ours = signed(r#"{"alg":"HS256","typ":"JWT"}"#, &text, SECRET.as_bytes());
        app.ask_as(&ours, Method::GET, "/things", Body::empty()).await.expect(200);

        let forged =
            [without_the_key(&text, &canary.url()), with_the_key(&app, &canary.url()), changed(&good, &claims)]
                .concat();
        assert!(forged.len() > 130, "{}", forged.len());
        let mut first = None;
        for token in forged {
            for name in ["authorization", "x-access-token"] {
                let value = if name == "authorization" { format!("Bearer {token}") } else { token.clone() };
                let request = app.request(Method::GET, "/things").header(name, value).body(Body::empty());
                let answer = app.send(request.unwrap()).await;
                assert_eq!(answer.status, 401, "{token}: {}", answer.text());
                let mut body = answer.json();
                body["correlation_id"] = Value::Null;
                assert_eq!(body["detail"], "Invalid or expired token", "{token}");
                assert_eq!(answer.header(header::WWW_AUTHENTICATE.as_str()), "Bearer");
                assert_eq!(*first.get_or_insert(body.clone()), body, "{token}");
            }
        }
    }
    assert_eq!(canary.connections(), 0, "something was fetched");
}
