//! What `dev` says of itself, between the lines of the services.

use std::io;
use std::time::Duration;

use crate::output::{color_on, print_notice};

/// Says what happens.
pub(super) fn say(text: &str) {
    print_line("\x1b[1;36m", text);
}

/// Says what went wrong.
pub(super) fn complain(text: &str) {
    print_line("\x1b[1;31m", text);
}

fn print_line(color: &str, text: &str) {
    let mark = if color_on(&io::stderr()) { format!("{color}dev\x1b[0m") } else { "dev".to_owned() };
    print_notice(&format!("{mark}  {text}"));
}

/// A time as people read it: `38 ms`, `4.2 s`.
pub(super) fn took(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_are_in_milliseconds() {
        assert_eq!(took(Duration::from_micros(38_400)), "38 ms");
        assert_eq!(took(Duration::from_millis(4210)), "4.2 s");
    }
}
