//! Files of every kind, read.

use std::fs;

use super::*;

#[derive(Default)]
struct Collected {
    found: Vec<String>,
    bytes: u64,
    most: usize,
}

impl Sink for Collected {
    fn found(&mut self, found: Found) -> ControlFlow<()> {
        let name = found.place.to_string();
        let name = name.rsplit('/').next().unwrap();
        self.found.push(match found.content {
            Ok(content) => format!("{name} = {}", subject(&content.data)),
            Err(reason) => format!("{name}: {reason}"),
        });
        if self.found.len() == self.most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn read(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

fn subject(data: &str) -> String {
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    data["email_subject"].as_str().unwrap_or("none").to_owned()
}

fn read(folder: &Path, reading: Reading, most: usize) -> Collected {
    let mut collected = Collected { most, ..Collected::default() };
    read_all(Walk::new(vec![folder.to_path_buf()], None), reading, &mut collected);
    collected
}

fn mail(subject: &str) -> String {
    format!("From: a@example.com\nDate: Mon, 1 Jan 2024 10:00:00 GMT\nSubject: {subject}\n\ntext\n")
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
    put("1.eml", mail("one").as_bytes());
    put("2.eml", format!("From a@example.com\n{}", mail("two")).as_bytes());
    put("3.mbox", format!("From a@b 1:2\n{}\nFrom c@d 1:2\n{}\n", mail("three"), mail("four")).as_bytes());
    put("4.jsonl", b"{\"email_subject\":\"five\"}\n\nbad\n{\"data\":{\"email_subject\":\"six\"}}");
    put("5", b"");
    put("6", b"\x7fELF\0\0");
    put("7.eml", b"From: a@example.com\n\nno date");
    let large = fs::File::create(folder.path().join("8.eml")).unwrap();
    large.set_len(MAX_MESSAGE_BYTES as u64 + 1).unwrap();
    folder
}

#[test]
fn every_file_gives_its_messages_or_a_reason_in_order() {
    let folder = folder();
    let collected = read(folder.path(), Reading::default(), usize::MAX);
    let expected = [
        "1.eml = one",
        "2.eml = two",
        "3.mbox, message 1 = three",
        "3.mbox, message 2 = four",
        "4.jsonl, line 1 = five",
        "4.jsonl, line 3: not a JSON object on one line",
        "4.jsonl, line 4 = six",
        "5: it is empty",
        "6: no mail: a binary file",
        "7.eml: it has no date: no Date and no Received with one; --file-time would take that of the file",
        "8.eml: over 32 MiB",
    ];
    assert_eq!(collected.found, expected);
    assert_eq!(collected.bytes, sizes(vec![folder.path().to_path_buf()], None).sum::<u64>());
}

#[test]
fn reading_ends_when_nobody_listens() {
    let folder = folder();
    for most in 1..8 {
        assert_eq!(read(folder.path(), Reading::default(), most).found.len(), most);
    }
}

#[test]
fn the_format_can_be_forced_and_a_file_can_lend_its_time() {
    let folder = folder();
    let forced = Reading { format: Some(Format::Jsonl), ..Reading::default() };
    assert_eq!(read(folder.path(), forced, 1).found, ["1.eml, line 1: not a JSON object on one line"]);
    let lent = read(folder.path(), Reading { file_time: true, ..Reading::default() }, usize::MAX);
    assert!(lent.found.contains(&"7.eml = (no subject)".to_owned()), "{:?}", lent.found);
}
