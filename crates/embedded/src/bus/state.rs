use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

use ery_event_bus::Event;
use ery_ids::{PARTS, Part};

use super::{
    BusOptions,
    table::{Cursor, ERASED_KIND, ERASED_PAYLOAD, TrimPlan},
};

/// How far a handler that gets nothing of its kinds may run ahead of what the file says of it.
const LAZY_CURSOR: u64 = 4_096;

/// What an event costs in memory beside its payload, roughly.
const EVENT_OVERHEAD: usize = 256;

/// An event and its number, which is its place in the order of all.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) seq: u64,
    pub(super) event: Event,
}

/// The newest events of each part, and where each handler stands in them.
///
/// Invariant: events enter in the order of their numbers and after their commit, because the pump
/// alone adds them.
pub(super) struct BusState {
    inner: Mutex<Inner>,
    options: BusOptions,
    /// A cursor moved that is to be saved.
    pub(super) dirty: Notify,
}

struct Inner {
    parts: Vec<PartState>,
    /// The size of all tails together.
    tail_bytes: usize,
    /// Cursors that moved and are not saved.
    dirty: BTreeSet<(u8, Arc<str>)>,
    is_full: bool,
}

#[derive(Default)]
struct PartState {
    /// Every event of the part behind `floor`, in order.
    tail: VecDeque<Arc<Stored>>,
    floor: u64,
    /// The last event of any part when this was last written to; the tail is whole up to here.
    last: u64,
    handlers: HashMap<Arc<str>, HandlerState>,
}

struct HandlerState {
    kinds: Vec<String>,
    /// Everything up to here is acknowledged, or of no kind of the handler's.
    acked: u64,
    /// Everything up to here was delivered to the present reader, or passed over.
    next: u64,
    /// Delivered and not acknowledged, or acknowledged behind one that is not.
    outstanding: BTreeMap<u64, Outstanding>,
    /// Dropped deliveries, and when they come again; the times rise.
    again: VecDeque<(Instant, u64)>,
    /// Which reader counts: the last one.
    generation: u64,
    /// Up to here events may have been delivered before this process, or before this reader.
    delivered: u64,
    /// The reader has seen everything, and waits.
    is_idle: bool,
    notify: Arc<Notify>,
    saved: u64,
}

struct Outstanding {
    /// None once it is acknowledged.
    event: Option<Arc<Stored>>,
    /// Counts its deliveries, so that an old one that is dropped does not bring it back twice.
    attempt: u32,
}

/// Names a reader of a handler.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) part: Part,
    pub(super) handler: Arc<str>,
    pub(super) generation: u64,
    pub(super) notify: Arc<Notify>,
}

/// What a reader is to do next.
pub(super) enum Step {
    Deliver {
        event: Arc<Stored>,
        attempt: u32,
        is_redelivery: bool,
    },
    /// Read events behind and up to these from the file.
    Load {
        after: u64,
        until: u64,
    },
    /// Wait to be notified, or until then.
    Wait(Option<Instant>),
    /// Another reader has taken over.
    End,
}

/// What a reader has read from the file and not delivered yet.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) events: VecDeque<Arc<Stored>>,
    /// The file was read up to here.
    pub(super) until: u64,
}

impl BusState {
    pub(super) fn new(options: BusOptions, last: u64, cursors: Vec<Cursor>) -> Self {
        let mut parts: Vec<PartState> =
            (0..PARTS).map(|_| PartState { floor: last, last, ..PartState::default() }).collect();
        for cursor in cursors {
            let state = HandlerState::new(cursor.acked, last);
            parts[usize::from(cursor.part.0)].handlers.insert(cursor.handler, state);
        }
        let inner = Inner { parts, tail_bytes: 0, dirty: BTreeSet::new(), is_full: false };
        Self { inner: Mutex::new(inner), options, dirty: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change is made whole before anything in it can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().is_full
    }

    pub(super) fn set_full(&self, is_full: bool) {
        self.lock().is_full = is_full;
    }

    /// Adds events that are on disk, in the order of their numbers.
    pub(super) fn add(&self, events: impl Iterator<Item = Arc<Stored>>) {
        let mut inner = self.lock();
        for event in events {
            let part = usize::from(event.event.home.part().0);
            inner.tail_bytes += size_of_event(&event);
            inner.parts[part].add(event);
        }
        inner.shrink_tails(self.options.tail_bytes);
    }

    /// Makes a new reader of a handler, which begins at what is not acknowledged.
    pub(super) fn begin_reading(&self, handler: &str, kinds: &[&str], part: Part) -> Reader {
        let mut inner = self.lock();
        let of = &mut inner.parts[usize::from(part.0)];
        let is_new = !of.handlers.contains_key(handler);
        let name: Arc<str> = match of.handlers.get_key_value(handler) {
            Some((name, _)) => Arc::clone(name),
            None => handler.into(),
        };
        let state = of.handlers.entry(Arc::clone(&name)).or_insert_with(|| HandlerState::new(0, 0));
        state.kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        state.delivered = state.delivered.max(state.next);
        state.next = state.acked;
        state.again.clear();
        state.is_idle = false;
        state.generation += 1;
        let former = std::mem::replace(&mut state.notify, Arc::new(Notify::new()));
        former.notify_one();
        let reader = Reader {
            part,
            handler: Arc::clone(&name),
            generation: state.generation,
            notify: Arc::clone(&state.notify),
        };
        if is_new {
            // From now on the handler counts when events are deleted.
            self.mark_dirty(&mut inner, part, name);
        }
        reader
    }

    fn mark_dirty(&self, inner: &mut Inner, part: Part, handler: Arc<str>) {
        let was_empty = inner.dirty.is_empty();
        inner.dirty.insert((part.0, handler));
        if was_empty {
            self.dirty.notify_one();
        }
    }

    /// Says what a reader is to do next, and notes that it does.
    pub(super) fn step(&self, reader: &Reader, loaded: &mut Loaded) -> Step {
        let now = Instant::now();
        let mut inner = self.lock();
        let PartState { tail, floor, last, handlers, .. } =
            &mut inner.parts[usize::from(reader.part.0)];
        let Some(state) = handlers.get_mut(&reader.handler) else { return Step::End };
        if state.generation != reader.generation {
            return Step::End;
        }
        if let Some(step) = state.redeliver(now) {
            return step;
        }
        let due = state.again.front().map(|(due, _)| *due);
        if state.outstanding.len() >= self.options.max_outstanding {
            return Step::Wait(due);
        }
        while let Some(event) = loaded.events.pop_front() {
            if event.seq > state.next
                && let Some(step) = state.deliver(event)
            {
                return step;
            }
        }
        state.next = state.next.max(loaded.until);
        if state.next < *floor {
            return Step::Load { after: state.next, until: *floor };
        }
        let mut index = tail.partition_point(|event| event.seq <= state.next);
        while let Some(event) = tail.get(index) {
            if state.hears(&event.event.kind)
                && let Some(step) = state.deliver(Arc::clone(event))
            {
                return step;
            }
            state.next = event.seq;
            index += 1;
        }
        state.next = state.next.max(*last);
        state.is_idle = true;
        state.settle();
        let is_behind = state.acked > state.saved + LAZY_CURSOR;
        if is_behind {
            self.mark_dirty(&mut inner, reader.part, Arc::clone(&reader.handler));
        }
        Step::Wait(due)
    }

    /// Notes that an event's outcome is durable.
    pub(super) fn ack(&self, reader: &Reader, seq: u64) {
        let mut inner = self.lock();
        let of = &mut inner.parts[usize::from(reader.part.0)];
        let Some(state) = of.handlers.get_mut(&reader.handler) else { return };
        let was_blocked = state.outstanding.len() >= self.options.max_outstanding;
        if let Some(outstanding) = state.outstanding.get_mut(&seq) {
            outstanding.event = None;
        }
        let before = state.acked;
        state.settle();
        if was_blocked && state.outstanding.len() < self.options.max_outstanding {
            state.notify.notify_one();
        }
        if state.acked > before {
            self.mark_dirty(&mut inner, reader.part, Arc::clone(&reader.handler));
        }
    }

    /// Notes that a delivery was dropped: it comes again after the redelivery time.
    pub(super) fn dropped(&self, reader: &Reader, seq: u64, attempt: u32) {
        let due = Instant::now() + self.options.redelivery;
        let mut inner = self.lock();
        let of = &mut inner.parts[usize::from(reader.part.0)];
        let Some(state) = of.handlers.get_mut(&reader.handler) else { return };
        let Some(outstanding) = state.outstanding.get(&seq) else { return };
        // A later reader reads it anew in any case.
        if outstanding.attempt == attempt && state.generation == reader.generation {
            state.again.push_back((due, seq));
            state.notify.notify_one();
        }
    }

    /// Returns the cursors that are to be saved, which count as saved from now on.
    pub(super) fn take_dirty(&self) -> Vec<Cursor> {
        let mut inner = self.lock();
        let Inner { dirty, parts, .. } = &mut *inner;
        std::mem::take(dirty)
            .into_iter()
            .filter_map(|(part, handler)| {
                let state = parts[usize::from(part)].handlers.get_mut(&handler)?;
                state.saved = state.acked;
                Some(Cursor { handler, part: Part(part), acked: state.acked })
            })
            .collect()
    }

    /// Gives back cursors that could not be saved.
    pub(super) fn put_back_dirty(&self, cursors: &[Cursor]) {
        let mut inner = self.lock();
        for cursor in cursors {
            self.mark_dirty(&mut inner, cursor.part, Arc::clone(&cursor.handler));
        }
    }

    /// Forgets what was deleted from the file: up to these numbers, by part.
    pub(super) fn forget(&self, deleted: &[u64; PARTS as usize]) {
        let mut inner = self.lock();
        let Inner { parts, tail_bytes, .. } = &mut *inner;
        for (part, deleted) in parts.iter_mut().zip(deleted) {
            while part.tail.front().is_some_and(|oldest| oldest.seq <= *deleted) {
                *tail_bytes -= part.drop_oldest();
            }
        }
    }

    /// Returns whether a handler that hears events of this kind has not acknowledged this one.
    pub(super) fn is_needed(&self, part: Part, kind: &str, seq: u64) -> bool {
        let inner = self.lock();
        let Some(of) = inner.parts.get(usize::from(part.0)) else { return false };
        of.handlers.values().any(|handler| handler.hears(kind) && handler.needs(seq))
    }

    /// Empties events in memory that were erased from the file.
    pub(super) fn blank(&self, erased: &[(Part, u64)]) {
        let mut inner = self.lock();
        let Inner { parts, tail_bytes, .. } = &mut *inner;
        for (part, seq) in erased {
            let Some(of) = parts.get_mut(usize::from(part.0)) else { continue };
            let Ok(index) = of.tail.binary_search_by_key(seq, |stored| stored.seq) else {
                continue;
            };
            let stands = &of.tail[index];
            let event = Event {
                kind: ERASED_KIND.to_owned(),
                traceparent: None,
                payload: ERASED_PAYLOAD.into(),
                ..stands.event.clone()
            };
            let blank = Arc::new(Stored { seq: *seq, event });
            *tail_bytes = (*tail_bytes + size_of_event(&blank)) - size_of_event(stands);
            of.tail[index] = blank;
        }
    }

    /// Puts into the plan up to where every handler has acknowledged each part. A part without
    /// handlers holds nothing back.
    pub(super) fn set_floors(&self, plan: &mut TrimPlan) {
        let inner = self.lock();
        for (floor, part) in plan.floors.iter_mut().zip(&inner.parts) {
            let acked = part.handlers.values().map(|handler| handler.acked);
            *floor = acked.min().unwrap_or(u64::MAX);
        }
    }
}

impl Inner {
    /// Forgets the oldest events of all parts that do not fit; the file has them.
    fn shrink_tails(&mut self, most_bytes: usize) {
        while self.tail_bytes > most_bytes {
            let fronts = self.parts.iter_mut().filter(|part| !part.tail.is_empty());
            let Some(part) = fronts.min_by_key(|part| part.tail.front().map(|front| front.seq))
            else {
                return;
            };
            self.tail_bytes -= part.drop_oldest();
        }
    }
}

impl PartState {
    fn add(&mut self, event: Arc<Stored>) {
        for handler in self.handlers.values_mut().filter(|handler| handler.is_idle) {
            if handler.hears(&event.event.kind) {
                handler.is_idle = false;
                handler.notify.notify_one();
            } else {
                // It has seen all before this one, and passes over it too.
                handler.next = event.seq;
                handler.settle();
            }
        }
        self.last = event.seq;
        self.tail.push_back(event);
    }

    /// Forgets the oldest event, and returns its size.
    fn drop_oldest(&mut self) -> usize {
        let Some(oldest) = self.tail.pop_front() else { return 0 };
        self.floor = oldest.seq;
        size_of_event(&oldest)
    }
}

impl HandlerState {
    fn new(acked: u64, delivered: u64) -> Self {
        Self {
            kinds: Vec::new(),
            acked,
            next: acked,
            outstanding: BTreeMap::new(),
            again: VecDeque::new(),
            generation: 0,
            delivered,
            is_idle: false,
            notify: Arc::new(Notify::new()),
            saved: acked,
        }
    }

    fn hears(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|of| of == kind)
    }

    /// Returns whether it has not acknowledged an event that it hears.
    fn needs(&self, seq: u64) -> bool {
        let is_acked = self.outstanding.get(&seq).is_some_and(|it| it.event.is_none());
        seq > self.acked && !is_acked
    }

    /// Delivers an event behind `next`, unless it was acknowledged before its turn.
    fn deliver(&mut self, event: Arc<Stored>) -> Option<Step> {
        self.next = event.seq;
        let outstanding = self
            .outstanding
            .entry(event.seq)
            .or_insert_with(|| Outstanding { event: Some(Arc::clone(&event)), attempt: 0 });
        outstanding.event.as_ref()?;
        outstanding.attempt += 1;
        let attempt = outstanding.attempt;
        let is_redelivery = event.seq <= self.delivered;
        Some(Step::Deliver { event, attempt, is_redelivery })
    }

    /// Delivers again what was dropped and is due.
    fn redeliver(&mut self, now: Instant) -> Option<Step> {
        while let Some((_, seq)) = self.again.front().copied().filter(|(due, _)| *due <= now) {
            self.again.pop_front();
            if let Some(outstanding) = self.outstanding.get_mut(&seq)
                && let Some(event) = outstanding.event.clone()
            {
                outstanding.attempt += 1;
                let attempt = outstanding.attempt;
                return Some(Step::Deliver { event, attempt, is_redelivery: true });
            }
        }
        None
    }

    /// Moves `acked` up to the first event that is not.
    fn settle(&mut self) {
        let mut is_behind = false;
        while let Some(first) = self.outstanding.first_entry() {
            is_behind = first.get().event.is_some();
            if is_behind {
                break;
            }
            self.acked = self.acked.max(*first.key());
            first.remove();
        }
        // A reader that began anew does not deliver what was acknowledged before its turn.
        self.next = self.next.max(self.acked);
        if !is_behind {
            self.acked = self.next;
        }
    }
}

fn size_of_event(stored: &Stored) -> usize {
    EVENT_OVERHEAD + stored.event.payload.len()
}
