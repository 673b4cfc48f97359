//! What each value of a body may be.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::error::FieldError;

/// The wrong values of one body, all of them. Says where and what, never the value.
#[derive(Debug)]
pub struct Rules {
    /// Where those who ask stand.
    loc: Vec<Value>,
    wrong: Vec<FieldError>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { loc: vec!["body".into()], wrong: Vec::new() }
    }
}

impl Rules {
    /// Refuses the value of a member: a word for programs, and what is expected.
    pub fn refuse(&mut self, member: &str, kind: &str, msg: impl Into<String>) {
        let mut loc = self.loc.clone();
        loc.push(member.into());
        self.wrong.push(FieldError { loc, msg: msg.into(), kind: kind.to_owned() });
    }

    /// Asks the same of what lies deeper: below this member, or below this item of a list.
    pub fn within<T>(&mut self, step: impl Into<Value>, ask: impl FnOnce(&mut Self) -> T) -> T {
        self.loc.push(step.into());
        let answer = ask(self);
        self.loc.pop();
        answer
    }

    /// A text of so many characters. A NUL is none that a database keeps.
    pub fn text(&mut self, member: &str, text: &str, chars: RangeInclusive<usize>) {
        let (least, most, found) = (*chars.start(), *chars.end(), text.chars().count());
        if found < least {
            self.refuse(
                member,
                "string_too_short",
                format!("String should have at least {}", many(least, "character")),
            );
        } else if found > most {
            self.refuse(member, "string_too_long", format!("String should have at most {}", many(most, "character")));
        } else if text.contains('\0') {
            self.refuse(member, "value_error", "String should not contain the character NUL");
        }
    }

    /// A number within bounds.
    pub fn number(&mut self, member: &str, number: i64, bounds: RangeInclusive<i64>) {
        let (least, most) = (bounds.start(), bounds.end());
        if number < *least {
            let expected = format!("Input should be greater than or equal to {least}");
            self.refuse(member, "greater_than_equal", expected);
        } else if number > *most {
            self.refuse(member, "less_than_equal", format!("Input should be less than or equal to {most}"));
        }
    }

    /// A list of so many items. Answers whether it is one, and worth a look at each.
    pub fn list(&mut self, member: &str, found: usize, items: RangeInclusive<usize>) -> bool {
        let (least, most) = (*items.start(), *items.end());
        if found < least {
            self.refuse(member, "too_short", format!("List should have at least {}", many(least, "item")));
        } else if found > most {
            self.refuse(member, "too_long", format!("List should have at most {}", many(most, "item")));
        }
        items.contains(&found)
    }

    /// `value`, if nothing was wrong.
    ///
    /// # Errors
    /// Every wrong value.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        match value {
            Some(value) if self.wrong.is_empty() => Ok(value),
            _ => Err(self.wrong),
        }
    }
}

fn many(number: usize, of: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {of}{ending}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_wrong_value_is_named_with_its_place() {
        let mut rules = Rules::default();
        rules.text("name", "", 1..=200);
        rules.text("word", "ééé", 1..=2);
        rules.text("nul", "a\0", 1..=2);
        rules.text("fine", "éé", 1..=2);
        rules.within("items", |rules| {
            rules.within(3, |rules| {
                rules.number("low", -1, 0..=5);
                rules.number("high", 6, 0..=5);
                rules.number("fine", 5, 0..=5);
            });
        });
        assert!(!rules.list("none", 0, 1..=2) && !rules.list("many", 3, 1..=2) && rules.list("fine", 2, 1..=2));
        let wrong = rules.finish(Some(())).unwrap_err();
        let wrong: Vec<_> = wrong.into_iter().map(|error| (json!(error.loc), error.kind, error.msg)).collect();
        let expected = [
            (json!(["body", "name"]), "string_too_short", "String should have at least 1 character"),
            (json!(["body", "word"]), "string_too_long", "String should have at most 2 characters"),
            (json!(["body", "nul"]), "value_error", "String should not contain the character NUL"),
            (json!(["body", "items", 3, "low"]), "greater_than_equal", "Input should be greater than or equal to 0"),
            (json!(["body", "items", 3, "high"]), "less_than_equal", "Input should be less than or equal to 5"),
            (json!(["body", "none"]), "too_short", "List should have at least 1 item"),
            (json!(["body", "many"]), "too_long", "List should have at most 2 items"),
        ];
        assert_eq!(wrong, expected.map(|(loc, kind, msg)| (loc, kind.to_owned(), msg.to_owned())));
    }

    #[test]
    fn what_breaks_no_rule_passes() {
        assert_eq!(Rules::default().finish(Some(7)), Ok(7));
        assert_eq!(Rules::default().finish(None::<u8>), Err(Vec::new()));
    }
}
