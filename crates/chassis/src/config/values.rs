//! The types of settings: how each is written, and what to say when it is not.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

/// A value that can be read from a setting's text.
pub trait FromText: Sized {
    /// Completes "expected …" in the message about a mistake.
    const EXPECTED: &'static str;

    /// The value, or `None` when the text is not of this type.
    fn from_text(text: &str) -> Option<Self>;
}

impl FromText for String {
    const EXPECTED: &'static str = "text";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl FromText for SecretString {
    const EXPECTED: &'static str = "a secret or a reference to one, such as `file:/run/secrets/api_token`";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl FromText for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl FromText for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

impl FromText for u32 {
    const EXPECTED: &'static str = "a whole number, such as `100`";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromText for usize {
    const EXPECTED: &'static str = "a whole number, such as `100`";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A TCP port; 0 means any free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(pub u16);

impl FromText for Port {
    const EXPECTED: &'static str = "a port between 0 and 65535";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Port)
    }
}

impl FromText for IpAddr {
    const EXPECTED: &'static str = "an IP address, such as `127.0.0.1` or `0.0.0.0`";

    fn from_text(text: &str) -> Option<Self> {
        if text == "localhost" {
            return Some(Self::from([127, 0, 0, 1]));
        }
        text.trim_matches(['[', ']']).parse().ok()
    }
}

impl FromText for IpNet {
    const EXPECTED: &'static str = "addresses or networks separated by commas, such as `10.0.0.0/8,::1`";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(Self::from))
    }
}

/// The longest time of a setting, 10000 days: it can be added to every clock without an overflow.
const LONGEST: Duration = Duration::from_secs(10_000 * 86_400);

impl FromText for Duration {
    const EXPECTED: &'static str =
        "a time up to 10000d, such as `30`, `30s`, `250ms`, `5m` or `24h` (a bare number is seconds)";

    fn from_text(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let seconds = match unit.trim() {
            "ms" => number / 1000.0,
            "" | "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            "d" => number * 86_400.0,
            _ => return None,
        };
        Self::try_from_secs_f64(seconds).ok().filter(|time| *time <= LONGEST)
    }
}

/// Several values separated by commas; blanks around them do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommaList<T>(pub Vec<T>);

impl<T: FromText> FromText for CommaList<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(T::from_text).collect::<Option<Vec<T>>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_units_and_refuse_nonsense() {
        let read = Duration::from_text;
        assert_eq!(read("30"), Some(Duration::from_secs(30)));
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("1.5 s"), Some(Duration::from_millis(1500)));
        assert_eq!(read("24h"), Some(Duration::from_secs(86_400)));
        assert_eq!(read("10000d"), Some(LONGEST));
        for bad in ["", "s", "-1", "1e3", "5 parsecs", "1.2.3", "99999999999999999999d", "10001d", "1e19"] {
            assert_eq!(read(bad), None, "{bad:?} was taken");
        }
    }

    #[test]
    fn networks_may_be_single_addresses() {
        let list = CommaList::<IpNet>::from_text("10.0.0.0/8, ::1").unwrap();
        assert_eq!(list.0.len(), 2);
        assert!(list.0[1].contains(&"::1".parse::<IpAddr>().unwrap()));
        assert!(CommaList::<IpNet>::from_text("10.0.0.0/8,nowhere").is_none());
    }
}
