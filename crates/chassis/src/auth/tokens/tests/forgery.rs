//! Tokens of those who do not have the key (RFC 8725, section 2).

use super::*;

fn claims() -> String {
    good_claims().to_string()
}

#[test]
fn a_token_without_a_signature_is_refused() {
    for text in [SECRET, P256, RSA] {
        let (world, kid) = (World::new(text), key(text).kid().to_owned());
        for alg in ["none", "None", "NONE", "nOnE", ""] {
            for header in [json!({ "alg": alg }), json!({ "alg": alg, "kid": kid })] {
                let message = format!("{}.{}", base64url(header.to_string()), base64url(claims()));
                assert_eq!(world.refusal(&format!("{message}.")), Refusal::Algorithm, "{header}");
            }
        }
        let token = world.issue();
        let unsigned = token.rsplit_once('.').unwrap().0;
        assert_eq!(world.refusal(&format!("{unsigned}.")), Refusal::Signature);
    }
}

#[test]
fn a_public_key_is_no_secret() {
    for (text, public) in [(RSA, RSA_PUBLIC), (P256, P256_PUBLIC)] {
        let public_half = key(text);
        let jwk = serde_json::to_string(public_half.public().unwrap()).unwrap();
        let der: String = public.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(der).unwrap();
        for secret in [public.as_bytes(), public.trim_end().as_bytes(), jwk.as_bytes(), &der] {
            let secret = EncodingKey::from_secret(secret);
            for header in [json!({ "alg": "HS256" }), json!({ "alg": "HS256", "kid": public_half.kid() })] {
                let token = signed(&header.to_string(), &claims(), Algorithm::HS256, &secret);
                assert_eq!(World::new(text).refusal(&token), Refusal::Algorithm);
                let both = World::with(ring(text, Some(SECRET)));
                let expected = if header["kid"].is_null() { Refusal::Signature } else { Refusal::Algorithm };
                assert_eq!(both.refusal(&token), expected, "a secret is in the ring as well");
            }
        }
    }
}

#[test]
fn another_algorithm_with_the_right_key_is_refused() {
    let (secret, rsa) =
        (EncodingKey::from_secret(SECRET.as_bytes()), EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap());
    for (text, name, algorithm, signer) in [
        (SECRET, "HS384", Algorithm::HS384, &secret),
        (SECRET, "HS512", Algorithm::HS512, &secret),
        (RSA, "RS512", Algorithm::RS512, &rsa),
        (RSA, "PS256", Algorithm::PS256, &rsa),
    ] {
        let token = signed(&json!({ "alg": name }).to_string(), &claims(), algorithm, signer);
        assert_eq!(World::new(text).refusal(&token), Refusal::Algorithm, "{name}");
    }
}

#[test]
fn a_token_of_another_key_is_refused_whatever_key_it_names() {
    let (world, other) = (World::new(P256), EncodingKey::from_ec_pem(OTHER_P256.as_bytes()).unwrap());
    let (own, others) = (key(P256), key(OTHER_P256));
    for (header, expected) in [
        (json!({ "alg": "ES256" }), Refusal::Signature),
        (json!({ "alg": "ES256", "kid": own.kid() }), Refusal::Signature),
        (json!({ "alg": "ES256", "kid": others.kid() }), Refusal::UnknownKey),
        (json!({ "alg": "ES256", "kid": "" }), Refusal::UnknownKey),
        (json!({ "alg": "ES256", "jwk": others.public() }), Refusal::Signature),
        (json!({ "alg": "ES256", "jku": "https://evil.example/jwks.json" }), Refusal::Signature),
    ] {
        let token = signed(&header.to_string(), &claims(), Algorithm::ES256, &other);
        assert_eq!(world.refusal(&token), expected, "{header}");
    }
}

#[test]
fn a_token_without_kid_is_tried_with_each_key_of_the_ring() {
    for (current, previous) in [(SECRET, P256), (P256, SECRET)] {
        let world = World::with(ring(current, Some(previous)));
        world.valid(&signed_with_secret(&json!({ "alg": "HS256" }), &good_claims()));
        let ec = EncodingKey::from_ec_pem(P256.as_bytes()).unwrap();
        world.valid(&signed(r#"{"alg":"ES256"}"#, &claims(), Algorithm::ES256, &ec));
    }
}

#[test]
fn no_character_of_a_token_can_be_changed() {
    for text in [SECRET, P256, RSA] {
        let world = World::new(text);
        let token = world.issue();
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            world.refusal(std::str::from_utf8(&changed).unwrap());
        }
        for changed in [format!("{token}A"), format!("{token}="), format!(" {token}"), format!("{token}\n")] {
            world.refusal(&changed);
        }
        world.valid(&token);
    }
}

#[test]
fn a_payload_cannot_be_exchanged() {
    for text in [SECRET, P256, RSA] {
        let world = World::new(text);
        let token = world.issue();
        let parts: Vec<&str> = token.split('.').collect();
        let better = claims().replace("orders:read", "orders:read ops:write");
        let forged = format!("{}.{}.{}", parts[0], base64url(better), parts[2]);
        assert_eq!(world.refusal(&forged), Refusal::Signature);
    }
}

#[test]
fn extensions_and_tokens_for_something_else_are_refused() {
    let world = World::new(SECRET);
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!(null), json!("exp")] {
        let header = json!({ "alg": "HS256", "crit": crit, "exp": NOW + 1, "b64": false });
        assert_eq!(world.refusal(&signed_with_secret(&header, &good_claims())), Refusal::Critical, "{header}");
    }
    for typ in ["dpop+jwt", "secevent+jwt", "JWE", "", "JWT "] {
        let header = json!({ "alg": "HS256", "typ": typ });
        assert_eq!(world.refusal(&signed_with_secret(&header, &good_claims())), Refusal::Type, "{header}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "at+JWT"] {
        world.valid(&signed_with_secret(&json!({ "alg": "HS256", "typ": typ }), &good_claims()));
    }
}

#[test]
fn a_signature_of_zeros_and_one_in_another_encoding_are_refused() {
    let world = World::new(P256);
    let token = world.issue();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap()).collect();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    // ASN.1, as the signatures of certificates are; the leading zeros keep the numbers positive.
    let der = [&[0x30, 70, 2, 33, 0], &raw[..32], &[2, 33, 0], &raw[32..]].concat();
    for forged in
        [vec![0; 64], [order.as_slice(), &order].concat(), [&raw[..32], &[0; 32]].concat(), der, raw[..32].to_vec()]
    {
        assert_eq!(world.refusal(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(forged))), Refusal::Signature);
    }
}
