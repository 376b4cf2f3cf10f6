//! Flood control: of what the same reader does under the same recipe again and again, some events
//! are told and the others are counted. What is told says how many it stands for, so that the sum
//! is the number of all events that came out of the ring.

use std::collections::HashMap;
use std::time::Duration;

use crate::event::Record;
use crate::layout::Verdict;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many events; 0 for all.
    pub events: u32,
    /// Within this time.
    pub window: Duration,
}

/// What makes events alike. Not the process: whoever floods starts new ones. The verdict, so that
/// what got through does not drown in what was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Like {
        recipe: Option<String>,
        verdict: Verdict,
        exe: (u32, u32, u64),
        uid: u32,
        cgroup: u64,
    },
    /// All that there is no room to tell apart.
    Others,
}

#[derive(Debug)]
struct Entry {
    end: Duration,
    told: u32,
    held: u64,
    last: Option<Record>,
}

/// As many kinds of events are told apart at one time.
const KEPT: usize = 1024;

/// A record that is to be told, and how many like it were not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The event.
    pub record: Record,
    /// Events like it that came before it and were not told.
    pub repeats: u64,
}

/// The control. Times are those of one clock that never goes back.
#[derive(Debug)]
pub struct Flood {
    limit: Limit,
    known: HashMap<Key, Entry>,
    held: u64,
}

impl Flood {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        Self { limit, known: HashMap::new(), held: 0 }
    }

    /// What to tell about an event: it, or nothing for now.
    pub fn judge(&mut self, record: Record, recipe: Option<&str>, now: Duration) -> Option<Told> {
        if self.limit.events == 0 {
            return Some(Told { record, repeats: 0 });
        }
        let mut key = Key::of(&record, recipe);
        if self.known.len() >= KEPT && !self.known.contains_key(&key) {
            self.known.retain(|_, entry| entry.held > 0 || entry.end > now);
            if self.known.len() >= KEPT {
                key = Key::Others;
            }
        }
        let end = now + self.limit.window;
        let entry = self.known.entry(key).or_insert(Entry { end, told: 0, held: 0, last: None });
        if entry.held == 0 && entry.end <= now {
            *entry = Entry { end, told: 0, held: 0, last: None };
        }
        if entry.told < self.limit.events {
            entry.told += 1;
            return Some(Told { record, repeats: 0 });
        }
        entry.held += 1;
        entry.last = Some(record);
        self.held += 1;
        None
    }

    /// The last events of floods whose window is over, each with the number of those before it.
    pub fn due(&mut self, now: Duration) -> Vec<Told> {
        self.release(|entry| entry.end <= now)
    }

    /// All that is held back, when there will be no more.
    pub fn rest(&mut self) -> Vec<Told> {
        self.release(|_| true)
    }

    fn release(&mut self, is_over: impl Fn(&Entry) -> bool) -> Vec<Told> {
        let mut told = Vec::new();
        self.known.retain(|_, entry| {
            if !is_over(entry) {
                return true;
            }
            if let Some(record) = entry.last.take() {
                told.push(Told { record, repeats: entry.held - 1 });
            }
            false
        });
        self.held -= told.iter().map(|told| told.repeats + 1).sum::<u64>();
        told.sort_by_key(|told| told.record.sequence);
        told
    }

    /// How long until [`Flood::due`] has something.
    #[must_use]
    pub fn patience(&self, now: Duration) -> Option<Duration> {
        let ends = self.known.values().filter(|entry| entry.held > 0).map(|entry| entry.end);
        ends.min().map(|end| end.saturating_sub(now))
    }

    /// Events that are held back now.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }
}

impl Key {
    fn of(record: &Record, recipe: Option<&str>) -> Self {
        let exe = &record.reader.exe;
        Self::Like {
            recipe: recipe.map(str::to_owned),
            verdict: record.verdict,
            exe: (exe.device_major, exe.device_minor, exe.inode),
            uid: record.reader.uid,
            cgroup: record.reader.cgroup_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::record;

    const WINDOW: Duration = Duration::from_secs(10);

    fn flood(events: u32) -> Flood {
        Flood::new(Limit { events, window: WINDOW })
    }

    fn numbered(sequence: u64) -> Record {
        Record { sequence, ..record() }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_told_sums_up_to_what_happened() {
        let mut flood = flood(3);
        let mut sum = 0;
        let mut told = 0;
        let mut add = |items: Vec<Told>| {
            told += items.len();
            sum += items.iter().map(|item| item.repeats + 1).sum::<u64>();
        };
        for number in 0..1000 {
            let now = Duration::from_millis(number * 25);
            add(flood.due(now));
            add(flood.judge(numbered(number), Some("a"), now).into_iter().collect());
        }
        add(flood.rest());
        assert_eq!(sum, 1000);
        // 25 seconds: three windows, each with three events and the last one of the others.
        assert_eq!(told, 12);
        assert_eq!((flood.held(), flood.patience(at(99))), (0, None));
    }

    #[test]
    fn the_last_event_comes_when_the_window_is_over() {
        let mut flood = flood(1);
        assert!(flood.judge(numbered(1), None, at(0)).is_some());
        assert_eq!(flood.patience(at(1)), None);
        assert!(flood.judge(numbered(2), None, at(1)).is_none());
        assert!(flood.judge(numbered(3), None, at(2)).is_none());
        assert_eq!((flood.patience(at(4)), flood.held()), (Some(at(6)), 2));
        assert_eq!(flood.due(at(9)), []);
        assert_eq!(flood.due(at(10)), [Told { record: numbered(3), repeats: 1 }]);
        assert!(flood.judge(numbered(4), None, at(11)).is_some(), "a new window");
    }

    #[test]
    fn other_readers_recipes_and_verdicts_are_told() {
        let mut flood = flood(1);
        let mut tell = |record: Record, recipe| flood.judge(record, Some(recipe), at(1)).is_some();
        assert!(tell(record(), "a"));
        assert!(!tell(record(), "a"));
        assert!(tell(record(), "b"));
        for change in [
            |record: &mut Record| record.verdict = Verdict::Observed,
            |record: &mut Record| record.reader.uid = 7,
            |record: &mut Record| record.reader.cgroup_id = 7,
            |record: &mut Record| record.reader.exe.inode = 7,
        ] {
            let mut other = record();
            change(&mut other);
            assert!(tell(other, "a"));
        }
        let mut again = record();
        again.reader.pid = 4711;
        assert!(!tell(again, "a"), "a new process of the same reader");
    }

    #[test]
    fn room_is_bounded_and_counts_are_kept() {
        let mut flood = flood(1);
        let many = 3 * KEPT as u64;
        let mut sum = 0;
        for number in 0..many {
            let mut record = numbered(number);
            record.reader.exe.inode = number;
            sum += u64::from(flood.judge(record, None, at(1)).is_some());
        }
        assert_eq!((flood.known.len(), sum), (KEPT + 1, KEPT as u64 + 1));
        sum += flood.rest().iter().map(|told| told.repeats + 1).sum::<u64>();
        assert_eq!(sum, many);
    }

    #[test]
    fn without_a_limit_all_is_told() {
        let mut flood = flood(0);
        assert!((0..100).all(|number| flood.judge(numbered(number), None, at(1)).is_some()));
    }
}
