//! What is issued, and what is not.

use super::*;

fn header_of(token: &str) -> Value {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice(&header).unwrap()
}

#[test]
fn the_key_decides_the_algorithm_and_the_header_names_both() {
    for (text, algorithm) in [(SECRET, "HS256"), (P256, "ES256"), (RSA, "RS256")] {
        let world = World::new(text);
        let token = world.issue();
        let expected = json!({ "typ": "JWT", "alg": algorithm, "kid": key(text).kid() });
        assert_eq!(header_of(&token), expected);
        assert!(world.valid(&token).has_scope("orders:write"));
    }
}

#[test]
fn each_token_has_an_id_of_its_own() {
    let world = World::new(SECRET);
    let ids = [world.issue(), world.issue()].map(|token| world.valid(&token).jti.clone());
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| uuid::Uuid::parse_str(id).unwrap().get_version_num() == 7), "{ids:?}");
}

#[test]
fn a_scope_that_would_be_read_as_two_is_not_granted() {
    let world = World::new(SECRET);
    for scope in ["orders:read ops:write", "orders:read\tops:write", "", "\"", "a\\b", "é", "a\n"] {
        let issued = world.issuer.issue(USER, "alice", &["users:read", scope]);
        assert_eq!(issued.unwrap_err(), IssueError::Scope(scope.into()));
    }
}

#[test]
fn what_no_verifier_would_take_is_not_issued() {
    let world = World::new(SECRET);
    assert_eq!(world.issuer.issue("", "alice", &[]).unwrap_err(), IssueError::Subject);
    let many = vec!["orders:read"; 700];
    assert!(matches!(world.issuer.issue(USER, "alice", &many), Err(IssueError::TooLong(bytes)) if bytes > 8192));
    // Names of 50 characters, and far more scopes than there are.
    let name = "\u{1F600}".repeat(50);
    let token = world.issuer.issue(USER, &name, &["analytics:write"; 50]).unwrap();
    assert_eq!(world.valid(token.expose_secret()).username, Some(name));
}
