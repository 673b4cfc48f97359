//! The bytes of a connection: what is taken for a request's head is one that nobody can read otherwise, and a head or
//! a body in chunks ends at the same place in whatever pieces it arrives.
#![no_main]

use chassis::testing::request_head::{check, find_end, find_end_of_chunks};
use fuzz::decode_chunks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check_chunks(bytes);
    // The whole server calls it for what ends with an empty line only; it must stand anything.
    let _ = check(bytes);
    let end = find_end(bytes, []);
    assert_eq!(find_end(bytes, 1..bytes.len()), end, "byte by byte");
    assert_eq!(find_end(bytes, pieces(bytes)), end, "in pieces");
    let Ok(Some(end)) = end else { return };
    let (head, rest) = bytes.split_at(end);
    assert!(head.ends_with(b"\r\n\r\n"), "a head ends with an empty line");
    assert_eq!(find_end(head, []), Ok(Some(end)), "what follows does not matter");
    if let Ok(length) = check(head) {
        check_taken(head, length);
    }
    check_chunks(rest);
});

/// Pieces of 1 to 16 bytes, which the bytes themselves choose.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let next = |at: &usize| Some(at + 1 + usize::from(*bytes.get(*at)? % 16));
    std::iter::successors(Some(0), next)
}

fn check_chunks(bytes: &[u8]) {
    let end = find_end_of_chunks(bytes, []);
    assert_eq!(find_end_of_chunks(bytes, 1..bytes.len()), end, "byte by byte");
    assert_eq!(find_end_of_chunks(bytes, pieces(bytes)), end, "in pieces");
    assert_eq!(decode_chunks(bytes).map(|(end, _)| end), end, "the plain decoder says otherwise");
}

/// A head that was taken with a body of `length`, read once more by the letter of RFC 9112.
fn check_taken(head: &[u8], length: Option<u64>) {
    let text = head.escape_ascii();
    let is_control = |byte: u8| byte.is_ascii_control() && !b"\t\r\n".contains(&byte);
    assert!(!head.iter().any(|byte| is_control(*byte)), "a control character: {text}");
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    assert!(rest.is_empty() && !lines.concat().iter().any(|byte| b"\r\n".contains(byte)), "half a line end: {text}");
    let mut lines = lines.into_iter().skip_while(|line| line.is_empty());

    let first = lines.next().expect("a request line");
    let words: Vec<_> = first.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else { panic!("not three words: {text}") };
    assert!(!method.is_empty() && !target.is_empty(), "{text}");
    let is_11 = version == b"HTTP/1.1";
    assert!(is_11 || version == b"HTTP/1.0", "{text}");

    let fields: Vec<_> = lines.take_while(|line| !line.is_empty()).map(|line| field_of(line)).collect();
    assert!(fields.len() <= 100);
    let values = |name: &str| {
        let is_named = |field: &&(&[u8], &[u8])| field.0.eq_ignore_ascii_case(name.as_bytes());
        fields.iter().filter(is_named).map(|(_, value)| *value).collect::<Vec<_>>()
    };
    let hosts = values("host").len();
    assert!(hosts == 1 || (hosts == 0 && !is_11), "{hosts} hosts: {text}");
    match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) => assert_eq!(length, Some(0)),
        ([digits], []) => {
            assert!(digits.iter().all(u8::is_ascii_digit), "{text}");
            assert_eq!(std::str::from_utf8(digits).expect("digits are text").parse().ok(), length, "{text}");
        }
        ([], [coding]) => {
            assert!(is_11 && coding.eq_ignore_ascii_case(b"chunked") && length.is_none(), "{text}");
        }
        _ => panic!("two lengths: {text}"),
    }

    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    assert_eq!(request.parse(head), Ok(httparse::Status::Complete(head.len())), "the HTTP library disagrees: {text}");
    assert_eq!(request.headers.len(), fields.len(), "{text}");
}

/// A name that is a token, right before its colon, and a value without blanks around it.
fn field_of(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = line.iter().position(|byte| *byte == b':').expect("a field has a colon");
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    assert!(colon > 0 && line[..colon].iter().all(is_token), "no field: {}", line.escape_ascii());
    (&line[..colon], line[colon + 1..].trim_ascii())
}
