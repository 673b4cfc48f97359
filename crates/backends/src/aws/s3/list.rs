//! What is in the bucket, a thousand to a request.

use std::sync::Arc;

use chassis::ports::objects::{List, Listed, ObjectError, ObjectKey};
use futures_util::{StreamExt as _, future, stream};
use jiff::Timestamp;
use object_store::ObjectStore as _;
use object_store::path::Path;

use super::S3Objects;
use super::refusal::{Operation, sort};

/// Keys that are none of the port's, such as one that begins with a dot, were written by somebody else.
pub(super) fn list(objects: &S3Objects, folder: Option<&ObjectKey>) -> List {
    let below = folder.map(ObjectKey::as_str).unwrap_or_default();
    let prefix = match Path::parse(format!("{}{below}", objects.prefix)) {
        Ok(prefix) => prefix,
        Err(error) => return stream::iter([Err(ObjectError::InvalidKey(error.to_string()))]).boxed(),
    };
    let (bucket, own): (Arc<str>, _) = (objects.bucket.as_str().into(), objects.prefix.clone());
    let found = objects.store.list(Some(&prefix)).map(move |found| {
        let found = found.map_err(|error| match error {
            object_store::Error::InvalidPath { .. } => ObjectError::Other(format!(
                "bucket {bucket} has a key that cannot be listed, such as one with `//`: list a folder beside it"
            )),
            error => sort(&error, Operation::List, &bucket),
        })?;
        let key = found.location.as_ref().strip_prefix(&own).and_then(|key| key.parse().ok());
        let modified_at = Timestamp::from_second(found.last_modified.timestamp()).ok();
        Ok(key.map(|key| Listed { key, size_bytes: found.size, modified_at }))
    });
    let is_ours = |found: Result<Option<Listed>, ObjectError>| future::ready(found.transpose());
    found.filter_map(is_ours).boxed()
}
