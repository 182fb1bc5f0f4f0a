//! What one traced request does in the event loop.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

/// The children of a server span: from proposal to decision, and every commit of the store meanwhile.
pub struct Trace {
    tracer: SdkTracer,
    server: Context,
    consensus: Mutex<Consensus>,
}

enum Consensus {
    NotProposed,
    Proposed(Span),
    Decided,
}

impl Trace {
    pub fn new(tracer: SdkTracer, server: Context) -> Self {
        Trace {
            tracer,
            server,
            consensus: Mutex::new(Consensus::NotProposed),
        }
    }

    /// The request's entry was handed to consensus while this pid led; only the first time counts.
    pub fn proposed(&self, leader: u64) {
        let mut consensus = self.consensus();
        if matches!(*consensus, Consensus::NotProposed) {
            let mut span = self.tracer.start_with_context("consensus", &self.server);
            span.set_attribute(KeyValue::new("orrery.kv.leader", leader as i64));
            *consensus = Consensus::Proposed(span);
        }
    }

    /// The entry is decided and applied here.
    pub fn decided(&self) {
        if let Consensus::Proposed(mut span) = std::mem::replace(&mut *self.consensus(), Consensus::Decided) {
            span.end();
        }
    }

    /// The store was committed just now, fsync included, which took so long.
    pub fn committed(&self, elapsed: Duration) {
        if matches!(*self.consensus(), Consensus::NotProposed) {
            return;
        }
        let end = SystemTime::now();
        let builder = self.tracer.span_builder("store commit").with_start_time(end - elapsed);
        let mut span = self.tracer.build_with_context(builder, &self.server);
        span.end_with_timestamp(end);
    }

    /// Nothing panics while it is held, so its content is whole.
    fn consensus(&self) -> MutexGuard<'_, Consensus> {
        self.consensus.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
