//! From what callers send to a user: a new one, a registered one, a changed one.

use chassis::error::FieldError;
use chassis::validation::{Rules, clearable, optional_whole, required};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::rules::{NAME, USERNAME, age};
use super::{Email, User, UserId, Version};

/// A user as callers describe it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct UserDraft {
    /// What to call them.
    #[schema(example = "John Doe", min_length = 1, max_length = 200, pattern = r"^[^\u0000]*$")]
    pub name: String,
    /// Their address; nobody else has it, whatever its case.
    #[schema(example = "john.doe@example.com", format = Email, max_length = 254)]
    pub email: String,
    /// Years.
    #[serde(default, deserialize_with = "optional_whole")]
    #[schema(example = 30, minimum = 0, maximum = 150)]
    pub age: Option<i64>,
}

/// What is to be changed of a user; what is not there stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub struct UserChanges {
    /// What to call them; of a registered user the username.
    #[serde(default, deserialize_with = "required")]
    #[schema(nullable = false, example = "Jane Doe", min_length = 1, max_length = 200, pattern = r"^[^\u0000]*$")]
    pub name: Option<String>,
    /// Their address.
    #[serde(default, deserialize_with = "required")]
    #[schema(nullable = false, example = "jane.doe@example.com", format = Email, max_length = 254)]
    pub email: Option<String>,
    /// Years; `null` forgets them.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<i64>, example = 31, minimum = 0, maximum = 150)]
    pub age: Option<Option<i64>>,
    /// Whether they may log in.
    #[serde(default, deserialize_with = "required")]
    #[schema(nullable = false, example = true)]
    pub is_active: Option<bool>,
}

impl UserDraft {
    /// The new user, who has no password.
    ///
    /// # Errors
    /// Every value that breaks a rule.
    pub fn into_user(self, id: UserId, now: Timestamp) -> Result<User, Vec<FieldError>> {
        let mut rules = Rules::default();
        rules.text("name", &self.name, NAME);
        let email = email(&mut rules, &self.email);
        let age = self.age.and_then(|years| age(&mut rules, years));
        rules.finish(email.map(|email| User {
            id,
            name: self.name,
            email,
            age,
            is_active: true,
            is_registered: false,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        }))
    }
}

impl User {
    /// Somebody who registers with a username.
    ///
    /// # Errors
    /// Every value that breaks a rule.
    pub fn registered(id: UserId, username: &str, address: &str, now: Timestamp) -> Result<Self, Vec<FieldError>> {
        let mut rules = Rules::default();
        rules.text("username", username, USERNAME);
        let email = email(&mut rules, address);
        rules.finish(email.map(|email| Self {
            id,
            name: username.to_owned(),
            email,
            age: None,
            is_active: true,
            is_registered: true,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        }))
    }

    /// The user after these changes.
    ///
    /// # Errors
    /// Every value that breaks a rule.
    pub fn changed(&self, changes: &UserChanges, now: Timestamp) -> Result<Self, Vec<FieldError>> {
        let mut rules = Rules::default();
        let mut user = self.clone();
        if let Some(name) = &changes.name {
            rules.text("name", name, if self.is_registered { USERNAME } else { NAME });
            user.name.clone_from(name);
        }
        if let Some(address) = &changes.email
            && let Some(email) = email(&mut rules, address)
        {
            user.email = email;
        }
        if let Some(years) = changes.age {
            user.age = years.and_then(|years| age(&mut rules, years));
        }
        user.is_active = changes.is_active.unwrap_or(self.is_active);
        user.version = self.version.next();
        user.updated_at = now;
        rules.finish(Some(user))
    }
}

fn email(rules: &mut Rules, text: &str) -> Option<Email> {
    let email = Email::parse(text);
    if email.is_none() {
        rules.refuse("email", "value_error", "value is not a valid email address");
    }
    email
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn draft(name: &str, email: &str, age: Option<i64>) -> Result<User, Vec<FieldError>> {
        let draft = UserDraft { name: name.into(), email: email.into(), age };
        draft.into_user(UserId(Uuid::nil()), Timestamp::UNIX_EPOCH)
    }

    fn fields(result: Result<User, Vec<FieldError>>) -> Vec<(String, String)> {
        let field = |error: FieldError| (error.loc[1].as_str().unwrap().to_owned(), error.kind);
        result.unwrap_err().into_iter().map(field).collect()
    }

    fn named<const N: usize>(fields: [(&str, &str); N]) -> Vec<(String, String)> {
        fields.map(|(field, kind)| (field.to_owned(), kind.to_owned())).into()
    }

    fn changes(json: &str) -> serde_json::Result<UserChanges> {
        serde_json::from_str(json)
    }

    #[test]
    fn every_wrong_value_is_named_at_once() {
        let wrong = fields(draft("", "nobody", Some(-1)));
        let all = [("name", "string_too_short"), ("email", "value_error"), ("age", "greater_than_equal")];
        assert_eq!(wrong, named(all));
        let wrong = fields(draft(&"é".repeat(201), "a@b.cd", Some(151)));
        assert_eq!(wrong, named([("name", "string_too_long"), ("age", "less_than_equal")]));
        assert_eq!(fields(draft("a\0b", "a@b.cd", None)), named([("name", "value_error")]));
        assert!(draft(&"é".repeat(200), "a@b.cd", Some(150)).is_ok());
    }

    #[test]
    fn what_is_left_out_stays_and_null_clears_only_what_may_be_unknown() {
        let user = draft("Ann", "ann@example.com", Some(30)).unwrap();
        let later = Timestamp::from_second(1).unwrap();
        let same = user.changed(&changes("{}").unwrap(), later).unwrap();
        assert_eq!((&same.name, same.age, same.version), (&user.name, Some(30), Version(2)));
        assert_eq!((same.created_at, same.updated_at), (user.created_at, later));
        let cleared = user.changed(&changes(r#"{"age":null,"is_active":false}"#).unwrap(), later).unwrap();
        assert_eq!((cleared.age, cleared.is_active), (None, false));
        for wrong in [r#"{"name":null}"#, r#"{"email":null}"#, r#"{"is_active":null}"#, r#"{"age":"30"}"#] {
            assert!(changes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_age_is_a_whole_number_however_it_is_written() {
        for (written, age) in [("30", 30), ("30.0", 30), ("3e1", 30), ("-1.0", -1), ("1e300", i64::MAX)] {
            assert_eq!(changes(&format!("{{\"age\":{written}}}")).unwrap().age, Some(Some(age)), "{written}");
            let draft = format!("{{\"name\":\"Ann\",\"email\":\"a@b.cd\",\"age\":{written}}}");
            assert_eq!(serde_json::from_str::<UserDraft>(&draft).unwrap().age, Some(age), "{written}");
        }
        for wrong in ["30.5", "\"30\"", "true", "[]"] {
            let error = changes(&format!("{{\"age\":{wrong}}}")).unwrap_err().to_string();
            assert!(error.contains("expected a"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_registered_user_keeps_a_name_that_can_log_in() {
        let user = User::registered(UserId(Uuid::nil()), "ann", "ann@example.com", Timestamp::UNIX_EPOCH).unwrap();
        let short = UserChanges { name: Some("a".into()), ..UserChanges::default() };
        let wrong = fields(user.changed(&short, Timestamp::UNIX_EPOCH));
        assert_eq!(wrong, named([("name", "string_too_short")]));
        assert!(User::registered(UserId(Uuid::nil()), "an", "ann@example.com", Timestamp::UNIX_EPOCH).is_err());
    }
}
