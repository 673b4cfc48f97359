//! Which permission is missing, as AWS words it.

/// Letters of an action that are kept; the longest there is has about 60.
const MAX_ACTION: usize = 80;

/// The action that a refusal's text names, such as `kms:GenerateDataKey`.
pub(super) fn denied_action(message: &str) -> Option<&str> {
    let (_, after) = message.split_once("not authorized to perform: ")?;
    after.split_whitespace().next().filter(|word| is_action(word))
}

fn is_action(word: &str) -> bool {
    let named = word.split_once(':').is_some_and(|(service, action)| !service.is_empty() && !action.is_empty());
    named && word.len() <= MAX_ACTION && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-".contains(&byte))
}
