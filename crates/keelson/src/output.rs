//! What a person sees: standard output for results, standard error for problems, colour only on a terminal.

use std::io::{self, IsTerminal, Write};

use chassis::config::no_color;

/// Writes to standard output. A reader that left (`| head`) is no error.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard output.
pub(crate) fn print_line(text: &str) {
    print(&format!("{text}\n"));
}

/// Writes the one text of a failure to standard error.
pub(crate) fn print_error(text: &str) {
    let mark = if color_on(&io::stderr()) { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    let _ = writeln!(io::stderr().lock(), "{mark} {text}");
}

/// Whether colour may be used on a stream.
pub(crate) fn color_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !no_color()
}

/// `text` in bold, when `on`.
pub(crate) fn bold(text: &str, on: bool) -> String {
    if on { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// A text of others on one line, without what could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Writes a line to standard error, beside the result.
pub(crate) fn print_notice(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks on standard error, where it does not mix with the result; anything but a yes is a no.
pub(crate) async fn confirmed(question: String) -> bool {
    let ask = move || {
        let mut err = io::stderr().lock();
        let _ = err.write_all(question.as_bytes()).and_then(|()| err.flush());
        let mut answer = String::new();
        let _ = io::stdin().read_line(&mut answer);
        matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    };
    tokio::task::spawn_blocking(ask).await.unwrap_or(false)
}
