//! Encrypted requests and answers, as callers see them: the forms, what is refused, and whose requests have to be
//! encrypted.

mod answers;
mod calls;
mod demands;
mod forms;
mod kit;
mod refusals;
