//! What a setting is: a name, a default, a meaning and a type.

use std::marker::PhantomData;

/// What the reference says about a setting.
#[derive(Debug, Clone, Copy)]
pub struct SettingInfo {
    /// The environment variable.
    pub name: &'static str,
    /// As it would be written; `None` when it is unset by default.
    pub default: Option<&'static str>,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// Its value never appears in output.
    pub secret: bool,
}

/// Settings of one concern, for the reference.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// A heading.
    pub title: &'static str,
    /// In the order in which they should be read.
    pub settings: &'static [SettingInfo],
}

/// A setting with a default.
#[derive(Debug)]
pub struct Setting<T> {
    /// For the reference.
    pub info: SettingInfo,
    value: PhantomData<fn() -> T>,
}

impl<T> Setting<T> {
    /// A setting whose default is written as a user would write it.
    #[must_use]
    pub const fn new(name: &'static str, default: &'static str, doc: &'static str) -> Self {
        Self { info: SettingInfo { name, default: Some(default), doc, secret: false }, value: PhantomData }
    }
}

/// A setting that is unset by default.
#[derive(Debug)]
pub struct OptionalSetting<T> {
    /// For the reference.
    pub info: SettingInfo,
    value: PhantomData<fn() -> T>,
}

impl<T> OptionalSetting<T> {
    /// A setting without a default.
    #[must_use]
    pub const fn new(name: &'static str, doc: &'static str) -> Self {
        Self { info: SettingInfo { name, default: None, doc, secret: false }, value: PhantomData }
    }

    /// A setting whose value never appears in output.
    #[must_use]
    pub const fn secret(name: &'static str, doc: &'static str) -> Self {
        Self { info: SettingInfo { name, default: None, doc, secret: true }, value: PhantomData }
    }
}
