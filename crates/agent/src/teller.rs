//! From the ring to the outputs: every event is counted, told or held back.

use std::time::{Duration, SystemTime};

use envward_kernel::clock;

use crate::event::Record;
use crate::flood::{Flood, Limit, Told};
use crate::guard::Guard;
use crate::layout::Counter;
use crate::output::{Event, Outputs};
use crate::recipe::Book;
use crate::report::{Lookup, Report};

/// As old may the kernel's numbers be that metrics show.
const FRESH: Duration = Duration::from_secs(5);
/// As many events are kept for whoever wants to look at them at the end.
const KEPT: usize = 4096;

/// Takes events out of the ring and tells outputs about them.
#[derive(Debug)]
pub struct Teller {
    lookup: Lookup,
    flood: Flood,
    outputs: Outputs,
    counted: Option<Duration>,
    kept: Option<Vec<Kept>>,
}

/// An event that was told.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The event.
    pub report: Report,
    /// When it happened.
    pub at: SystemTime,
}

impl Teller {
    /// Nothing is told yet.
    #[must_use]
    pub fn new(outputs: Outputs, limit: Limit) -> Self {
        Self { lookup: Lookup::default(), flood: Flood::new(limit), outputs, counted: None, kept: None }
    }

    /// Keeps what is told, up to some thousand events.
    #[must_use]
    pub fn keeping(self) -> Self {
        Self { kept: Some(Vec::new()), ..self }
    }

    /// What was kept.
    #[must_use]
    pub fn kept(&self) -> &[Kept] {
        self.kept.as_deref().unwrap_or_default()
    }

    /// The outputs' numbers.
    #[must_use]
    pub const fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Tells what has happened since. Returns complaints: nothing that goes wrong here ends
    /// protection.
    pub fn tell(&mut self, guard: &mut Guard, book: &Book) -> Vec<String> {
        let mut complaints = Vec::new();
        while let Some(event) = guard.next_event() {
            match event {
                Ok(record) => complaints.extend(self.take(record, book)),
                Err(error) => complaints.push(error.to_string()),
            }
        }
        for told in self.flood.due(clock::since_boot()) {
            complaints.extend(self.write(&told, book));
        }
        self.count(guard);
        complaints.extend(self.outputs.flush());
        complaints
    }

    /// How long until there is something to do even if nothing happens.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        let fresh = self.outputs.has_metrics().then_some(FRESH);
        self.flood.patience(clock::since_boot()).into_iter().chain(fresh).min()
    }

    /// Tells what is left, also what was held back.
    pub fn finish(&mut self, guard: &mut Guard, book: &Book) -> Vec<String> {
        let mut complaints = self.tell(guard, book);
        for told in self.flood.rest() {
            complaints.extend(self.write(&told, book));
        }
        complaints.extend(self.outputs.finish());
        complaints
    }

    fn take(&mut self, record: Record, book: &Book) -> Vec<String> {
        let recipe = book.find(&record).map(|recipe| recipe.id.as_str());
        let metrics = self.outputs.metrics();
        metrics.happened(recipe, record.route.name(), record.verdict.name());
        let told = self.flood.judge(record, recipe, clock::since_boot());
        if told.is_none() {
            metrics.held(recipe);
        }
        told.map(|told| self.write(&told, book)).unwrap_or_default()
    }

    fn write(&mut self, told: &Told, book: &Book) -> Vec<String> {
        let (now, since_boot) = (SystemTime::now(), clock::since_boot());
        let recipe = book.find(&told.record);
        let report = Report::new(&told.record, told.repeats, recipe, &mut self.lookup, now, since_boot);
        let at = told.record.when(now, since_boot);
        let complaints = self.outputs.tell(&Event { report: &report, recipe, at });
        if let Some(kept) = self.kept.as_mut().filter(|kept| kept.len() < KEPT) {
            kept.push(Kept { report, at });
        }
        complaints
    }

    fn count(&mut self, guard: &Guard) {
        let now = clock::since_boot();
        if !self.outputs.has_metrics() || self.counted.is_some_and(|last| now < last + FRESH) {
            return;
        }
        self.counted = Some(now);
        for counter in Counter::ALL {
            if let Ok(value) = guard.count(*counter) {
                self.outputs.metrics().kernel(*counter, value);
            }
        }
    }
}
