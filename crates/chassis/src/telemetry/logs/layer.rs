//! The way in: tracing events and access records become lines in the sink.

use std::cell::Cell;
use std::sync::Arc;

use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;

use super::access::{ACCESS, AccessRecord};
use super::filter::Filter;
use super::line::{self, Head, Parts};
use super::sink::{Line, Sink};
use super::stamp::Stamp;
use super::{Format, Level};
use crate::clock::Clock;
use crate::telemetry::correlation::{self, Scope};

/// Memory that a thread keeps after a long line.
const KEPT_BYTES: usize = 64 * 1024;

/// What one thread uses again for each line.
#[derive(Debug, Default)]
struct Scratch {
    stamp: Stamp,
    parts: Parts,
    stream: Vec<u8>,
    file: Vec<u8>,
}

thread_local! {
    // Taken out while a line is written: a value whose Debug logs finds none and makes a new one.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Everything between an event and the sink.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) filter: Filter,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) format: Format,
    pub(super) has_files: bool,
    pub(super) default_service: Arc<str>,
    pub(super) sink: Sink,
}

/// What an event or a record brings along.
#[derive(Debug, Clone, Copy)]
struct Origin<'a> {
    level: Level,
    target: &'a str,
    /// Whether it comes from one of our own crates.
    own: bool,
    scope: Option<&'a Scope>,
}

/// Writes a line with this head in this format.
trait Content: Fn(&mut Vec<u8>, Format, &Head<'_>, &mut Parts) {}

impl<F: Fn(&mut Vec<u8>, Format, &Head<'_>, &mut Parts)> Content for F {}

impl Pipeline {
    pub(super) fn access(&self, record: &AccessRecord<'_>, scope: &Scope) {
        let level = record.level();
        if level >= self.filter.level() {
            let origin = Origin { level, target: ACCESS, own: true, scope: Some(scope) };
            self.emit(origin, &|out: &mut Vec<u8>, format, head: &Head<'_>, parts: &mut Parts| match format {
                Format::Json => record.write_json(out, head),
                Format::Terminal { .. } => {
                    line::write(out, format, head, parts, &|fields| record.write_readable(fields))
                }
            });
        }
    }

    fn event(&self, event: &Event<'_>) {
        let target = event.metadata().target();
        let level = Level::of_event(*event.metadata().level(), target);
        let own = self.filter.is_own(target);
        let emit = |scope: Option<&Scope>| {
            let origin = Origin { level, target, own, scope };
            self.emit(origin, &|out: &mut Vec<u8>, format, head: &Head<'_>, parts: &mut Parts| {
                line::write(out, format, head, parts, &|fields| event.record(fields));
            });
        };
        if correlation::with_current(|scope| emit(Some(scope))).is_none() {
            emit(None);
        }
    }

    fn emit(&self, origin: Origin<'_>, content: &impl Content) {
        // A thread that is ending has no thread-locals any more, but may still log.
        let mut scratch = SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default();
        self.write(&mut scratch, origin, content);
        scratch.shrink();
        let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
    }

    fn write(&self, scratch: &mut Scratch, origin: Origin<'_>, content: &impl Content) {
        let Scratch { stamp, parts, stream, file } = scratch;
        stamp.set(self.clock.now());
        let service = origin.scope.map_or(&self.default_service, |scope| &scope.service);
        let Origin { level, target, own, scope } = origin;
        let head = Head { stamp, level, service, scope, target, own };
        content(stream, self.format, &head, parts);
        let file: &[u8] = match (self.has_files, self.format) {
            (false, _) => &[],
            (true, Format::Json) => stream,
            (true, Format::Terminal { .. }) => {
                content(file, Format::Json, &head, parts);
                file
            }
        };
        self.sink.push(Line { stream, file, service, is_error: level >= Level::Error });
    }
}

impl Scratch {
    fn shrink(&mut self) {
        self.stream.shrink_to(KEPT_BYTES);
        self.file.shrink_to(KEPT_BYTES);
        self.parts.shrink(KEPT_BYTES);
    }
}

/// Writes events. Spans are not kept: a line's ids come from the [`Scope`], which costs less.
#[derive(Debug)]
pub(super) struct LogLayer(pub(super) Arc<Pipeline>);

impl<S: Subscriber> Layer<S> for LogLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_event() && self.0.filter.passes(*metadata.level(), metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.filter.most())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.event(event);
    }
}
