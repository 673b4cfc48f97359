//! How long stored objects are kept, and whether older ones are deleted.

use chassis::config::{OptionalSetting, Reader, Setting};

use crate::model::retention::Retention;

pub(super) const ARCHIVE_RETENTION: OptionalSetting<Retention> = OptionalSetting::new(
    "ARCHIVE_RETENTION",
    "How long stored messages are kept, from `1d` up, such as `90d`; for archives in files only, as on S3 a lifecycle rule of the bucket does it. An object has expired when the day in its key and its last write are both older. Once an hour expired objects are counted; they are deleted with `ARCHIVE_RETENTION_DELETE=true` alone. Unset, everything is kept.",
);
pub(super) const ARCHIVE_RETENTION_DELETE: Setting<bool> = Setting::new(
    "ARCHIVE_RETENTION_DELETE",
    "false",
    "Deletes what `ARCHIVE_RETENTION` has found to be expired, for good. Look first at what it reports in the log, in `/status`, or with `keelson archive expire`.",
);

/// How long objects are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionConfig {
    /// `ARCHIVE_RETENTION`.
    pub kept: Retention,
    /// `ARCHIVE_RETENTION_DELETE`; otherwise they are counted.
    pub deletes: bool,
}

impl RetentionConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let kept = reader.get_optional(&ARCHIVE_RETENTION);
        let deletes = reader.get(&ARCHIVE_RETENTION_DELETE);
        if deletes && !reader.is_set(&ARCHIVE_RETENTION.info) {
            reader.refuse(&ARCHIVE_RETENTION_DELETE.info, "`ARCHIVE_RETENTION` beside it, or it unset");
        }
        kept.map(|kept| Self { kept, deletes })
    }

    /// Remembers that `ARCHIVE_RETENTION` does not go with where the objects are, which only the caller knows.
    pub fn refuse(reader: &mut Reader<'_>, expected: &str) {
        reader.refuse(&ARCHIVE_RETENTION.info, expected);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::config::Layers;

    use super::super::ArchiverConfig;
    use super::*;

    fn read(settings: &[(&'static str, &str)]) -> Result<Option<RetentionConfig>, String> {
        let layers = Layers::of(settings);
        let mut reader = Reader::new(&layers);
        let config = ArchiverConfig::read(&mut reader);
        reader.finish(config.retention).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn everything_is_kept_until_a_retention_is_set_and_then_counted_until_it_may_be_deleted() {
        assert_eq!(read(&[]).unwrap(), None);
        let kept = Retention(Duration::from_secs(90 * 86_400));
        let counted = read(&[("ARCHIVE_RETENTION", "90d")]).unwrap();
        assert_eq!(counted, Some(RetentionConfig { kept, deletes: false }));
        let deleted = read(&[("ARCHIVE_RETENTION", "90d"), ("ARCHIVE_RETENTION_DELETE", "true")]).unwrap();
        assert_eq!(deleted, Some(RetentionConfig { kept, deletes: true }));
    }

    #[test]
    fn a_wrong_retention_is_a_mistake_that_says_what_is_expected() {
        for wrong in ["23h", "0", "forever"] {
            let mistake = read(&[("ARCHIVE_RETENTION", wrong)]).unwrap_err();
            assert!(mistake.contains("expected a time from 1d to 10000d, such as `90d`"), "{wrong}: {mistake}");
        }
        let mistake = read(&[("ARCHIVE_RETENTION_DELETE", "true")]).unwrap_err();
        assert!(mistake.contains("expected `ARCHIVE_RETENTION` beside it"), "{mistake}");
    }
}
