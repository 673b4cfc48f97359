//! Values as bounded text: one huge value must not make a huge line.

use std::fmt::{self, Write as _};

/// Bytes of the longest value that a line shows.
pub(super) const MAX_VALUE_BYTES: usize = 8 * 1024;

/// Put at the end of a value that was cut.
pub(super) const CUT_MARK: &str = "…";

/// A value that may have been cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) shown: &'a str,
    pub(super) cut: bool,
}

impl<'a> Text<'a> {
    pub(super) fn bounded(text: &'a str, limit: usize) -> Self {
        let end = text.floor_char_boundary(limit);
        Self { shown: &text[..end], cut: end < text.len() }
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::bounded(text, MAX_VALUE_BYTES)
    }
}

/// Collects formatted text up to the limit and then stops the formatter, which may have megabytes to go.
#[derive(Debug, Default)]
pub(super) struct Collector {
    text: String,
    cut: bool,
}

impl Collector {
    /// Starts again with `value`, in the same memory.
    pub(super) fn set(&mut self, value: fmt::Arguments<'_>) {
        self.clear();
        // The only error is our own stop.
        let _ = fmt::write(self, value);
    }

    /// The same without a formatter.
    pub(super) fn set_pieces(&mut self, pieces: &[&str]) {
        self.clear();
        // The only error is our own stop.
        let _ = pieces.iter().try_for_each(|piece| self.write_str(piece));
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cut = false;
    }

    pub(super) fn text(&self) -> Text<'_> {
        Text { shown: &self.text, cut: self.cut }
    }
}

impl fmt::Write for Collector {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let piece = Text::bounded(piece, MAX_VALUE_BYTES - self.text.len());
        self.text.push_str(piece.shown);
        self.cut |= piece.cut;
        if self.cut { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Whether readers obey a character instead of showing it: control characters (C0, DEL, C1), line separators, and the
/// marks that turn the direction of text around.
pub(super) fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = "ü".repeat(MAX_VALUE_BYTES);
        let text = Text::bounded(&long, 5);
        assert_eq!((text.shown, text.cut), ("üü", true));
        let mut collector = Collector::default();
        collector.set(format_args!("x{long}"));
        assert_eq!((collector.text().shown.len(), collector.text().cut), (MAX_VALUE_BYTES - 1, true));
    }

    #[test]
    fn a_value_that_fits_is_whole() {
        let mut collector = Collector::default();
        collector.set(format_args!("{}", "x".repeat(MAX_VALUE_BYTES)));
        assert!(!collector.text().cut);
        collector.set(format_args!("{}-{}", 1, 2));
        assert_eq!((collector.text().shown, collector.text().cut), ("1-2", false));
    }
}
