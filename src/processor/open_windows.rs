//! The windows of a node by their end: closing costs what closes, whatever else is open.

use crate::error::Result;
use crate::time::{Timestamp, Window, Windowed};
use std::collections::{BTreeMap, VecDeque};

/// Windows by (end, start); within one window the keys are ordered when it closes, by their bytes.
pub(crate) struct OpenWindows<K> {
    by_end: BTreeMap<(Timestamp, Timestamp), Vec<K>>,
    /// The rest of the window that is being closed, in order.
    closing: VecDeque<K>,
    window: Window,
    count: usize,
}

impl<K> Default for OpenWindows<K> {
    fn default() -> Self {
        let window = Window::new(Timestamp::MIN, Timestamp::MIN);
        Self { by_end: BTreeMap::new(), closing: VecDeque::new(), window, count: 0 }
    }
}

impl<K> OpenWindows<K> {
    pub(crate) fn insert(&mut self, window: Window, key: K) {
        self.count += 1;
        self.by_end.entry((window.end, window.start)).or_default().push(key);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The end of the first to close.
    pub(crate) fn first_end(&self) -> Option<Timestamp> {
        if self.closing.is_empty() {
            return self.by_end.first_key_value().map(|((end, _), _)| *end);
        }
        Some(self.window.end)
    }

    /// The window that `pop` would take from next.
    pub(crate) fn first(&self) -> Option<Window> {
        if self.closing.is_empty() {
            return self.by_end.first_key_value().map(|((end, start), _)| Window::new(*start, *end));
        }
        Some(self.window)
    }

    /// Takes the next window that ends at `bound` or before, in the order (end, start, key bytes).
    pub(crate) fn pop(
        &mut self,
        bound: Timestamp,
        bytes: impl Fn(&K) -> Result<Vec<u8>>,
    ) -> Result<Option<Windowed<K>>> {
        if self.first_end().is_none_or(|end| end > bound) {
            return Ok(None);
        }
        if self.closing.is_empty() {
            let Some(((end, start), keys)) = self.by_end.pop_first() else { return Ok(None) };
            let mut ordered =
                keys.into_iter().map(|key| Ok((bytes(&key)?, key))).collect::<Result<Vec<_>>>()?;
            ordered.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            self.window = Window::new(start, end);
            self.closing.extend(ordered.into_iter().map(|(_, key)| key));
        }
        self.count -= 1;
        Ok(self.closing.pop_front().map(|key| Windowed::new(key, self.window)))
    }
}

impl<K: PartialEq> OpenWindows<K> {
    /// Takes one out; costs as much as its window has keys.
    pub(crate) fn remove(&mut self, window: Window, key: &K) {
        let place = (window.end, window.start);
        let Some(keys) = self.by_end.get_mut(&place) else { return };
        if let Some(at) = keys.iter().position(|k| k == key) {
            keys.swap_remove(at);
            self.count -= 1;
        }
        if keys.is_empty() {
            self.by_end.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, end: i64) -> Window {
        Window::new(Timestamp(start), Timestamp(end))
    }

    #[test]
    fn closes_by_end_start_and_key() {
        let mut open = OpenWindows::default();
        for (start, end, key) in [(0, 10, "b"), (0, 10, "a"), (5, 10, "a"), (0, 5, "z"), (10, 20, "a")] {
            open.insert(window(start, end), key);
        }
        let bytes = |key: &&str| Ok(key.as_bytes().to_vec());
        let mut closed = Vec::new();
        while let Some(w) = open.pop(Timestamp(10), bytes).expect("pops") {
            closed.push((w.window.end.0, w.window.start.0, w.key));
        }
        assert_eq!(closed, [(5, 0, "z"), (10, 0, "a"), (10, 0, "b"), (10, 5, "a")]);
        assert_eq!((open.first_end(), open.len()), (Some(Timestamp(20)), 1));
        open.remove(window(10, 20), &"a");
        assert_eq!((open.first_end(), open.len()), (None, 0));
    }
}
