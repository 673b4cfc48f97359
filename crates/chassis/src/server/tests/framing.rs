//! What RFC 9112 forbids, and what stands behind a request.

use super::*;

#[tokio::test]
async fn what_rfc_9112_forbids_is_refused_and_ends_the_connection() {
    let server = Server::start(&[]);
    let many = "a: b\r\n".repeat(101);
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(64 << 10));
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(64 << 10));
    let cases: &[(&str, u16)] = &[
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        ("POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nhello", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nhello", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\0: ab\r\n\r\n", 400),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("G\u{1}T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
        (&large, 431),
        (&long, 414),
    ];
    for (bytes, status) in cases {
        assert_refused(&server.answer(bytes.as_bytes()).await, *status, bytes.get(..120).unwrap_or(bytes));
    }
    assert_eq!(server.handled(), 0, "no handler saw any of it");
}

#[tokio::test]
async fn what_rfc_9112_allows_is_answered() {
    let server = Server::start(&[]);
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost:a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80  \r\nX:\t\u{e9}\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /?q=[1]|{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ] {
        let answer = server.answer(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 OK\r\n"), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn a_bad_chunk_is_400_and_ends_the_connection() {
    let server = Server::start(&[]);
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "g\r\n",
        "-1\r\n",
        "5\nhello\n0\n\n",
        "5;x\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "1\r\nab\r\n0\r\n\r\n",
    ] {
        let answer = server.answer(format!("{head}{body}GET / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        assert_refused(&answer, 400, body);
    }
}

/// A proxy may see the end of the body there, and what follows as a request that it let through.

#[tokio::test]
async fn nothing_is_taken_behind_a_bare_line_feed_in_the_trailers() {
    let server = Server::start(&[]);
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["0\r\nA: b\n\n", "0\r\nA: b\nC: d\r\n\r\n"] {
        let answer = server.answer(format!("{head}{body}GET / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{body:?}: {answer}");
        assert!(answer.contains("connection: close"), "{body:?}: {answer}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let server = Server::start(&[]);
    let all = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none\
        POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\ntwo\r\n0\r\nT: r\r\n\r\n\
        GET / HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour\
        GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for piece in [1, 7, 64, all.len()] {
        let mut stream = server.connect().await;
        for bytes in all.as_bytes().chunks(piece) {
            stream.write_all(bytes).await.unwrap();
            if piece < 64 {
                tokio::task::yield_now().await;
            }
        }
        let answer = read_to_end(&mut stream).await;
        let places: Vec<_> = ["one", "two", "hello", "418", "hello"]
            .iter()
            .scan(0, |from, text| {
                let at = answer.get(*from..)?.find(text)? + *from;
                *from = at + 1;
                Some(at)
            })
            .collect();
        assert_eq!(places.len(), 5, "pieces of {piece}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 5, "{answer}");
    }
}

#[tokio::test]
async fn a_bad_request_behind_a_good_one_does_not_cost_its_answer() {
    let server = Server::start(&[]);
    let answer = server.answer(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("hello") && answer.contains("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn bytes_behind_a_body_that_nobody_read_are_no_request() {
    let server = Server::start(&[]);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let head =
        format!("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len() + 100_000);
    let answer = server.answer(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 418") && answer.contains("connection: close"), "{answer}");
    assert_eq!(server.handled(), 1);
}

#[tokio::test]
async fn an_empty_line_behind_a_request_begins_no_other() {
    let server = Server::start(&[]);
    let answer = server.answer(&[GET, b"\r\n"].concat()).await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_ends_says_so() {
    let server = Server::start(&[]);
    let head = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
    let answer = server.answer(format!("POST /nowhere {head}").as_bytes()).await;
    assert!(answer.contains("404") && answer.contains("connection: close"), "{answer}");
    let huge = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n";
    assert_refused(&server.answer(huge.as_bytes()).await, 400, huge);
}
