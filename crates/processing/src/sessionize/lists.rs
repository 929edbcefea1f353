//! Doubly linked lists over slots: a slot is in at most one of them, and leaves it without a search.
//!
//! The list is known by its first slot, which its owner keeps.

/// Links per chunk.
const CHUNK: usize = 1 << 10;

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
}

const UNLINKED: Link = Link { previous: NONE, next: NONE };

/// The links of all slots.
#[derive(Debug, Default)]
pub(super) struct Lists {
    chunks: Vec<Vec<Link>>,
    linked: usize,
}

impl Lists {
    /// Puts a slot that is in no list in front of the list that begins with `first`; `NONE`: an empty one.
    pub(super) fn push(&mut self, first: &mut u32, slot: u32) {
        *self.link(slot) = Link { previous: NONE, next: *first };
        if *first != NONE {
            self.link(*first).previous = slot;
        }
        *first = slot;
        self.linked += 1;
    }

    /// Takes a slot out of the list that begins with `first`.
    pub(super) fn remove(&mut self, first: &mut u32, slot: u32) {
        let Link { previous, next } = *self.link(slot);
        if previous == NONE {
            *first = next;
        } else {
            self.link(previous).next = next;
        }
        if next != NONE {
            self.link(next).previous = previous;
        }
        self.linked -= 1;
        if self.linked == 0 {
            self.chunks = Vec::new();
        }
    }

    /// The slots of the list that begins with `first`.
    pub(super) fn iter(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(first), |slot| self.get(*slot).map(|link| link.next))
            .take_while(|slot| *slot != NONE)
    }

    fn get(&self, slot: u32) -> Option<Link> {
        let slot = usize::try_from(slot).ok()?;
        self.chunks.get(slot / CHUNK)?.get(slot % CHUNK).copied()
    }

    fn link(&mut self, slot: u32) -> &mut Link {
        let slot = usize::try_from(slot).unwrap_or(usize::MAX);
        let (chunk, at) = (slot / CHUNK, slot % CHUNK);
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, Vec::new);
        }
        let chunk = &mut self.chunks[chunk];
        if chunk.is_empty() {
            chunk.resize(CHUNK, UNLINKED);
        }
        &mut chunk[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_leave_from_anywhere() {
        let mut lists = Lists::default();
        let (mut first, mut second) = (NONE, NONE);
        for slot in 0..5 {
            lists.push(&mut first, slot * 1_000);
            lists.push(&mut second, slot * 1_000 + 1);
        }
        let all = |lists: &Lists, first| lists.iter(first).collect::<Vec<_>>();
        for slot in [2_000, 4_000, 0] {
            lists.remove(&mut first, slot);
        }
        assert_eq!(all(&lists, first), [3_000, 1_000]);
        assert_eq!(all(&lists, second), [4_001, 3_001, 2_001, 1_001, 1]);
        for slot in [3_000, 1_000] {
            lists.remove(&mut first, slot);
        }
        assert_eq!((first, all(&lists, first)), (NONE, vec![]));
        for slot in 0..5 {
            lists.remove(&mut second, slot * 1_000 + 1);
        }
        assert_eq!((second, lists.chunks.len()), (NONE, 0));
    }
}
