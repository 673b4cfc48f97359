//! What each field of a user may be. Texts and types are those of FastAPI, whose clients read them.

/// One wrong value of a body. Says where and what, never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The member of the body.
    pub field: &'static str,
    /// What is expected.
    pub msg: String,
    /// The same for machines.
    pub kind: &'static str,
}

/// The wrong values of one body, all of them.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<FieldError>);

impl Rules {
    pub(super) fn refuse(&mut self, field: &'static str, kind: &'static str, msg: impl Into<String>) {
        self.0.push(FieldError { field, msg: msg.into(), kind });
    }

    /// A text of so many characters. A NUL is none that a database keeps.
    pub(super) fn text(&mut self, field: &'static str, text: &str, least: usize, most: usize) {
        let chars = text.chars().count();
        if chars < least {
            let many = if least == 1 { "character" } else { "characters" };
            self.refuse(field, "string_too_short", format!("String should have at least {least} {many}"));
        } else if chars > most {
            self.refuse(field, "string_too_long", format!("String should have at most {most} characters"));
        } else if text.contains('\0') {
            self.refuse(field, "value_error", "String should not contain the character NUL");
        }
    }

    /// Years of age.
    pub(super) fn age(&mut self, age: i64) -> Option<u8> {
        if age < 0 {
            self.refuse("age", "greater_than_equal", "Input should be greater than or equal to 0");
        } else if age > MAX_AGE {
            self.refuse("age", "less_than_equal", format!("Input should be less than or equal to {MAX_AGE}"));
        }
        u8::try_from(age).ok()
    }

    /// `value`, if nothing was wrong.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

const MAX_AGE: i64 = 150;
/// Characters of a name.
pub(super) const NAME: (usize, usize) = (1, 200);
/// Characters of the name of somebody who logs in with it.
pub(super) const USERNAME: (usize, usize) = (3, MAX_USERNAME_CHARS);
/// Characters of the longest username.
pub const MAX_USERNAME_CHARS: usize = 50;
