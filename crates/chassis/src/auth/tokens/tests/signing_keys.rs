//! Texts that become keys, their ids, and what is published of them.

use jsonwebtoken::jwk::Jwk;

use super::signing_key::thumbprint;
use super::*;

#[test]
fn tokens_of_another_program_are_valid() {
    for (text, token) in
        [(SECRET, testdata!("hs256.jwt")), (P256, testdata!("es256.jwt")), (RSA, testdata!("rs256.jwt"))]
    {
        let claims = World::new(text).valid(token.trim_end());
        assert_eq!((claims.sub.as_str(), claims.scope.as_str()), (USER, "orders:read"));
    }
}

/// The example of RFC 7638, section 3.1.
#[test]
fn the_id_of_a_public_key_is_its_thumbprint() {
    let example: Jwk = serde_json::from_value(json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
              oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA\
              ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-\
              kEgU8awapJzKnqDKgw",
        "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
    }))
    .unwrap();
    assert_eq!(thumbprint(&example).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

/// Computed with Python's hashlib, hmac and cryptography.
#[test]
fn another_program_finds_the_same_ids() {
    assert_eq!(key(SECRET).kid(), "46ncucmR541gpJSTmvgYaA");
    assert_eq!(key(P256).kid(), "_MWxQJ3ZzQKam4QZKzjnzKrGgqRICoA_UvPRKLlfOPM");
    assert_eq!(key(RSA).kid(), "vMqyRToDeWbWZlDF-U2ubrNJ_EiKT_BaokMKueDfptg");
}

#[test]
fn a_key_is_the_same_in_each_form_of_it() {
    assert_eq!(key(testdata!("rsa2048_pkcs1.pem")).kid(), key(RSA).kid());
    assert_eq!(key(&format!("\n  {}\n\n", P256.replace('\n', "\r\n"))).kid(), key(P256).kid());
}

#[test]
fn a_text_that_is_no_key_is_told_what_it_is() {
    let one_line = P256.replace('\n', "\\n");
    let cut = &RSA[..RSA.len() / 2];
    let damaged = RSA.replacen('M', "N", 3);
    for (text, found) in [
        ("", "an empty text"),
        (testdata!("rsa1024.pem"), "an RSA key of fewer than 2048 bits"),
        (testdata!("p384.pem"), "an EC key that is damaged, or on another curve than P-256"),
        (testdata!("ed25519.pem"), "a PEM that is damaged, or no ECDSA or RSA key"),
        (testdata!("p256_sec1.pem"), "an EC key in the form of SEC 1"),
        (testdata!("p256_encrypted.pem"), "an encrypted private key"),
        (P256_PUBLIC, "a public key"),
        (RSA_PUBLIC, "a public key"),
        (testdata!("certificate.pem"), "a certificate"),
        (one_line.as_str(), "a PEM that is damaged"),
        (cut, "a PEM that is damaged"),
        (damaged.as_str(), "a PEM that is damaged"),
        ("-----BEGIN ", "a PEM that is damaged"),
    ] {
        let error = SigningKey::parse(&text.into()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("found {found}")), "{error}");
        assert!(error.contains("expected a secret of at least 32 bytes, or a private key in PEM"), "{error}");
        assert!(
            text.lines().filter(|line| line.len() > 12 && !line.starts_with("---")).all(|line| !error.contains(line))
        );
    }
}

#[test]
fn public_keys_are_published_as_others_read_them() {
    let jwks = serde_json::to_value(ring(P256, Some(RSA)).jwks()).unwrap();
    let expected = json!({ "keys": [
        {
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
            "kid": "_MWxQJ3ZzQKam4QZKzjnzKrGgqRICoA_UvPRKLlfOPM",
            "x": "Mgd9LWRrgmUroMGxsWP0Tx9QopUyFbP4RPSoA0YgJn8", "y": "ZJK1GT9To1L9oucJxV0Fu-id8pxGxTTIsGGeZePE8F0",
        },
        {
            "kty": "RSA", "e": "AQAB", "use": "sig", "alg": "RS256",
            "kid": "vMqyRToDeWbWZlDF-U2ubrNJ_EiKT_BaokMKueDfptg",
            "n": "vV2dVgfepkBBFDiUQW-bwROZGlqHWgOhpWa9DTfq89qkNd3iFjAS6jZqPjJQ7kxk76JVNUN1CkZODyBfkwv7xXeC3nGiObD56QUHXjZJ\
                  oRT5ml87utE3RTo_Kxa1dvFeYxEKP5vn98iC0CQyA7Y3hPxNHUhLdhHkZ8JnWyAQYBxKW8VRDNKzcH2ZCGHJ-MB7ltvzSwPqE-d0YPpw\
                  rM1NibxoJgN4OgsPWa_j_TyV2nwznhezuSvtBFEKF6Naxjpw-Z6z_vZ3YopJsGHNRmnKTztnoqVeNJR4lurZJbyWody-3igPx-6ulzyW\
                  SM3Qxln38_huOjxsUxAqS87c3_alqw",
        },
    ]});
    assert_eq!(jwks, expected);
}

#[test]
fn a_secret_is_never_published_nor_shown() {
    let another = "another secret for tests only, as long";
    assert_eq!(serde_json::to_string(&ring(SECRET, Some(another)).jwks()).unwrap(), r#"{"keys":[]}"#);
    let both = ring(P256, Some(SECRET));
    let published = serde_json::to_value(both.jwks()).unwrap();
    assert_eq!(published["keys"].as_array().unwrap().len(), 1);
    let world = World::with(both);
    let shown = format!("{:?} {:?} {:?} {published}", world.keys, world.issuer, world.verifier);
    let private: Vec<&str> = P256.lines().filter(|line| !line.starts_with("---")).collect();
    for secret in [SECRET, &base64url(SECRET), private[0], private[1], private[2]] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // The members of RFC 7518, section 6, that are private.
    for name in ["d", "k", "p", "q", "dp", "dq", "qi", "oth"] {
        assert!(published["keys"][0].get(name).is_none(), "{name}");
    }
}
