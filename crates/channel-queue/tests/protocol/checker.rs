//! Goes through every state that can be reached, breadth first, and shows the shortest way to one
//! that must not be.
//!
//! States are kept as hashes of 64 bits: a million of them collide with a probability below one in
//! ten million. A way is found again by doing its steps anew.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// What is checked.
pub(crate) trait Model {
    type State: Copy + Eq + Hash;
    type Event: fmt::Display;
    type Property: Copy + Eq + fmt::Debug;

    fn start(&self) -> Self::State;

    /// Appends all that can happen next.
    fn next(&self, state: &Self::State, steps: &mut Vec<Step<Self>>);

    /// Returns the one of all states alike that stands for them.
    fn canonical(&self, state: &Self::State) -> Self::State;

    /// Returns what a state breaks.
    fn broken(&self, state: &Self::State) -> Option<Self::Property>;

    /// Says whether everything is done in a state.
    fn is_end(&self, state: &Self::State) -> bool;

    /// What is broken if an end can never be reached any more.
    const ENDS: Self::Property;
}

/// One thing that happens.
pub(crate) struct Step<M: Model + ?Sized> {
    pub(crate) event: M::Event,
    pub(crate) state: M::State,
    /// What the step itself breaks.
    pub(crate) breaks: Option<M::Property>,
    /// A fault may happen, but nothing may need it in order to end.
    pub(crate) is_fault: bool,
}

/// What a check came to.
pub(crate) struct Report<P> {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    /// How many events the longest of the shortest ways has.
    pub(crate) depth: usize,
    pub(crate) broken: Option<Broken<P>>,
}

/// A property that does not hold, and how it comes to that.
pub(crate) struct Broken<P> {
    pub(crate) property: P,
    pub(crate) trace: String,
}

/// Checks a model. `cares` chooses the properties that count.
pub(crate) fn check<M: Model>(
    model: &M,
    max_states: usize,
    cares: impl Fn(M::Property) -> bool,
) -> Report<M::Property> {
    let mut seen = Seen::default();
    let mut ends = Vec::new();
    let mut progress: Vec<(u32, u32)> = Vec::new();
    let (mut count, mut depth) = (0, 0);
    let start = model.canonical(&model.start());
    seen.insert(fingerprint(&start), None);
    let mut layer = vec![(0, start)];
    let mut steps = Vec::new();
    while !layer.is_empty() {
        let mut next_layer = Vec::new();
        for (index, state) in &layer {
            if model.is_end(state) {
                ends.push(*index);
            }
            steps.clear();
            model.next(state, &mut steps);
            count += steps.len();
            for step in &steps {
                let next = model.canonical(&step.state);
                let fingerprint = fingerprint(&next);
                let known = seen.index(fingerprint);
                let to = known.unwrap_or_else(|| seen.insert(fingerprint, Some(*index)));
                let broken = step.breaks.filter(|property| cares(*property));
                let broken = broken.or_else(|| model.broken(&next).filter(|it| cares(*it)));
                if let Some(property) = broken {
                    let mut way = seen.way(*index);
                    way.push(fingerprint);
                    let trace = trace(model, &way);
                    let broken = Some(Broken { property, trace });
                    return Report { states: seen.len(), steps: count, depth: depth + 1, broken };
                }
                if !step.is_fault {
                    progress.push((*index, to));
                }
                if known.is_none() {
                    next_layer.push((to, next));
                }
            }
        }
        assert!(seen.len() <= max_states, "more than {max_states} states: the scope is too large");
        depth += usize::from(!next_layer.is_empty());
        layer = next_layer;
    }
    let broken = if cares(M::ENDS) {
        endless(seen.len(), &progress, &ends).map(|index| {
            let mut trace = trace(model, &seen.way(index));
            trace.push_str("   …and from here on no run ends, whatever happens.\n");
            Broken { property: M::ENDS, trace }
        })
    } else {
        None
    };
    Report { states: seen.len(), steps: count, depth, broken }
}

/// Returns the first state from which no end can be reached without further faults.
fn endless(states: usize, progress: &[(u32, u32)], ends: &[u32]) -> Option<u32> {
    // The steps that lead to each state, one list behind the other.
    let mut first = vec![0_u32; states + 1];
    for (_, to) in progress {
        first[*to as usize + 1] += 1;
    }
    for index in 0..states {
        first[index + 1] += first[index];
    }
    let mut filled = first.clone();
    let mut from_states = vec![0_u32; progress.len()];
    for (from, to) in progress {
        let place = &mut filled[*to as usize];
        from_states[*place as usize] = *from;
        *place += 1;
    }
    let mut ends_from_here = vec![false; states];
    let mut left = ends.to_vec();
    while let Some(index) = left.pop() {
        let index = index as usize;
        if std::mem::replace(&mut ends_from_here[index], true) {
            continue;
        }
        let leading = first[index] as usize..first[index + 1] as usize;
        left.extend(from_states[leading].iter().filter(|from| !ends_from_here[**from as usize]));
    }
    let endless = ends_from_here.iter().position(|ends| !ends)?;
    Some(u32::try_from(endless).expect("states are counted in 32 bits"))
}

/// Tells a way step by step, by doing it again.
fn trace<M: Model>(model: &M, way: &[u64]) -> String {
    let mut text = String::new();
    // The states as they are, not those that stand for them: so that names stay the same.
    let mut state = model.start();
    let mut steps = Vec::new();
    for (number, fingerprint_of_next) in way.iter().enumerate().skip(1) {
        steps.clear();
        model.next(&state, &mut steps);
        let found = steps.iter().find(|step| {
            let next = model.canonical(&step.state);
            fingerprint(&next) == *fingerprint_of_next
        });
        let step = found.expect("states that are alike have steps that are alike");
        writeln!(text, "{number:4}. {}", step.event).expect("a string takes everything");
        state = step.state;
    }
    text
}

fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = Mix(0x9e37_79b9_7f4a_7c15);
    state.hash(&mut hasher);
    hasher.finish()
}

/// All states seen, numbered in the order in which they were found.
#[derive(Default)]
struct Seen {
    indices: HashMap<u64, u32, BuildHasherDefault<Already>>,
    found: Vec<(u64, Option<u32>)>,
}

impl Seen {
    fn len(&self) -> usize {
        self.found.len()
    }

    fn index(&self, fingerprint: u64) -> Option<u32> {
        self.indices.get(&fingerprint).copied()
    }

    fn insert(&mut self, fingerprint: u64, from: Option<u32>) -> u32 {
        let index = u32::try_from(self.found.len()).expect("states are counted in 32 bits");
        self.found.push((fingerprint, from));
        self.indices.insert(fingerprint, index);
        index
    }

    /// Returns the fingerprints from the start to a state.
    fn way(&self, index: u32) -> Vec<u64> {
        let mut way = Vec::new();
        let mut at = Some(index);
        while let Some(index) = at {
            let (fingerprint, from) = self.found[index as usize];
            way.push(fingerprint);
            at = from;
        }
        way.reverse();
        way
    }
}

/// Mixes a state into 64 bits, eight bytes at a time.
struct Mix(u64);

impl Mix {
    fn add(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9fb2_1c65_1e98_df25;
        #[expect(clippy::cast_possible_truncation, reason = "both halves are mixed in")]
        let (low, high) = (product as u64, (product >> 64) as u64);
        self.0 = (low ^ high).rotate_left(23).wrapping_add(0x2545_f491_4f6c_dd1d);
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.add(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.add(value as u64);
    }

    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        hash ^ (hash >> 32)
    }
}

/// Takes a fingerprint for what it is: a hash.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are looked up")
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
