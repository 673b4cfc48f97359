//! Which days are looked at, and which folders hold them.

use chassis::ports::{ObjectError, ObjectKey};
use jiff::civil::Date;

use crate::model::record::folder_of;

/// Days in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first one. With it there is always a last one, so that the folders can be counted.
    since: Option<Date>,
    /// The last one.
    until: Option<Date>,
}

impl Span {
    /// Every day.
    pub const ALL: Self = Self { since: None, until: None };

    /// A single day.
    #[must_use]
    pub fn day(day: Date) -> Self {
        Self { since: Some(day), until: Some(day) }
    }

    /// From one day to another, both included. Without an end it is the day after `today`, as clocks differ.
    #[must_use]
    pub fn between(since: Option<Date>, until: Option<Date>, today: Date) -> Self {
        let last = || today.tomorrow().unwrap_or(today);
        Self { since, until: until.or_else(|| since.map(|since| last().max(since))) }
    }

    /// Whether the day is one of them.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        self.since.is_none_or(|since| since <= day) && !self.is_before(day)
    }

    /// Whether all of them are before the day.
    pub(super) fn is_before(&self, day: Date) -> bool {
        self.until.is_some_and(|until| until < day)
    }

    /// The last day, if there is an end.
    pub(super) fn until(&self) -> Option<Date> {
        self.until
    }

    /// The folders below `root` that hold the days, in their order: whole years and months where they fit, since each
    /// folder is a request.
    pub(super) fn folders(&self, root: &str) -> Result<Vec<ObjectKey>, ObjectError> {
        let (Some(since), Some(until)) = (self.since, self.until) else { return Ok(vec![root.parse()?]) };
        let mut folders = Vec::new();
        let mut day = since;
        while day <= until {
            let folder = folder_of(root, day);
            let whole_year = day.day_of_year() == 1 && day.last_of_year() <= until;
            let whole_month = day.day() == 1 && day.last_of_month() <= until;
            let (folder, last) = match (whole_year, whole_month) {
                (true, _) => (&folder[..folder.len() - "/MM/DD".len()], day.last_of_year()),
                (false, true) => (&folder[..folder.len() - "/DD".len()], day.last_of_month()),
                (false, false) => (&*folder, day),
            };
            folders.push(folder.parse()?);
            let Ok(next) = last.tomorrow() else { break };
            day = next;
        }
        Ok(folders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn folders(since: &str, until: &str) -> Vec<String> {
        let span = Span::between(Some(day(since)), Some(day(until)), day("2000-01-01"));
        span.folders("m").unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_span_takes_as_few_folders_as_there_are() {
        assert_eq!(folders("2025-06-09", "2025-06-09"), ["m/2025/06/09"]);
        assert_eq!(folders("2025-01-01", "2025-12-31"), ["m/2025"]);
        assert_eq!(folders("2024-12-31", "2026-02-01"), ["m/2024/12/31", "m/2025", "m/2026/01", "m/2026/02/01"]);
        assert_eq!(folders("2025-06-09", "2025-06-08"), Vec::<String>::new());
        assert_eq!(Span::ALL.folders("m").unwrap(), ["m".parse().unwrap()]);
    }

    #[test]
    fn a_span_without_an_end_ends_after_today_and_one_without_a_beginning_looks_at_all() {
        let open = Span::between(Some(day("2025-06-09")), None, day("2025-06-10"));
        assert_eq!(open.until(), Some(day("2025-06-11")));
        let until = Span::between(None, Some(day("2025-06-09")), day("2025-06-10"));
        assert!(until.contains(day("1999-01-01")) && !until.contains(day("2025-06-10")));
        assert_eq!(until.folders("m").unwrap().len(), 1);
    }
}
