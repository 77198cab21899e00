//! The subscribers of a topic by their load: whom to give the next partition to, whom to take one
//! from. Each call takes the partition as moved.
//!
//! The least loaded are filled level by level, the most loaded are emptied level by level; members
//! that have nothing to give up leave the range of the most loaded.

#[derive(Default)]
pub struct Balancer {
    /// Members in the order of their load at the start.
    sorted: Vec<usize>,
    /// `sorted[..low_end]` is being filled to one above `low_level`.
    low_end: usize,
    low_level: i64,
    next_low: usize,
    /// `sorted[high_start..high_end]` is being emptied to one below `high_level`.
    high_start: usize,
    high_end: usize,
    high_level: i64,
    /// One behind the next member to take from.
    next_high: usize,
}

impl Balancer {
    /// Of a topic without subscribers there is none.
    pub fn new(subscribers: &[usize], loads: &[i64]) -> Option<Balancer> {
        let mut sorted = subscribers.to_vec();
        let load = |member: usize| loads.get(member).copied().unwrap_or(0);
        sorted.sort_by_key(|member| (load(*member), *member));
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        Some(Balancer {
            low_end: 0,
            low_level: load(least) - 1,
            next_low: 0,
            high_start: sorted.len(),
            high_end: sorted.len(),
            high_level: load(most) + 1,
            next_high: sorted.len(),
            sorted,
        })
    }

    fn load_at(&self, at: usize, loads: &[i64]) -> Option<i64> {
        loads.get(*self.sorted.get(at)?).copied()
    }

    pub fn next_least_loaded(&mut self, loads: &[i64]) -> Option<usize> {
        if self.next_low >= self.low_end {
            self.low_level += 1;
            while self.load_at(self.low_end, loads) == Some(self.low_level) {
                self.low_end += 1;
            }
            self.next_low = 0;
        }
        let member = self.sorted.get(self.next_low).copied();
        self.next_low += 1;
        member
    }

    /// `None`: nobody is left that has something to give up.
    pub fn next_most_loaded(&mut self, loads: &[i64]) -> Option<usize> {
        if self.next_high <= self.high_start {
            let below = self.high_start.checked_sub(1);
            match below.and_then(|at| self.load_at(at, loads)) {
                // All of the range has left it: it goes on with the next below, whatever its load.
                Some(load) if self.high_end <= self.high_start => self.high_level = load,
                _ => self.high_level -= 1,
            }
            while let Some(below) = self.high_start.checked_sub(1)
                && self.load_at(below, loads) == Some(self.high_level)
            {
                self.high_start = below;
            }
            self.next_high = self.high_end;
        }
        self.next_high = self.next_high.checked_sub(1)?;
        self.sorted.get(self.next_high).copied()
    }

    /// The member that was last returned as most loaded has nothing to give up.
    pub fn exclude_most_loaded(&mut self) {
        if let Some(last) = self.high_end.checked_sub(1) {
            self.sorted.swap(self.next_high, last);
            self.high_end = last;
        }
    }

    pub fn is_balanced(&self) -> bool {
        self.high_level - self.low_level <= 1
    }
}
