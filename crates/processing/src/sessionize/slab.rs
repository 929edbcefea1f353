//! Values in numbered slots: a slot stays where it is for as long as its value does, and is used again afterwards.
//!
//! Memory comes in chunks, so that growing copies nothing and leaves no half of a doubled array unused; it is given
//! back when the last value goes.

/// Slots per chunk.
const CHUNK: usize = 1 << 10;

/// What lies in a slot, or nothing.
pub(super) trait Vacant: Default {
    /// Whether the slot is free.
    fn is_vacant(&self) -> bool;
}

/// Numbered slots.
#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    free: Vec<u32>,
    taken: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), taken: 0 }
    }
}

impl<T: Vacant> Slab<T> {
    /// Values in it.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// Puts a value into a free slot; `None` when there are 2³² values.
    pub(super) fn insert(&mut self, value: T) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.grow()?,
        };
        *self.place(slot)? = value;
        self.taken += 1;
        Some(slot)
    }

    /// Takes the value out of a slot.
    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let value = std::mem::take(self.get_mut(slot)?);
        self.taken -= 1;
        if self.taken == 0 {
            *self = Self::default();
        } else {
            self.free.push(slot);
        }
        Some(value)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        let (chunk, at) = split(slot);
        self.chunks.get(chunk)?.get(at).filter(|value| !value.is_vacant())
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.place(slot).filter(|value| !value.is_vacant())
    }

    /// Every slot with a value.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        (0..=u32::MAX)
            .zip(self.chunks.iter().flatten())
            .filter_map(|(slot, value)| (!value.is_vacant()).then_some(slot))
    }

    fn place(&mut self, slot: u32) -> Option<&mut T> {
        let (chunk, at) = split(slot);
        self.chunks.get_mut(chunk)?.get_mut(at)
    }

    fn grow(&mut self) -> Option<u32> {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut()?;
        let slot = u32::try_from(before + chunk.len()).ok().filter(|slot| *slot != u32::MAX)?;
        chunk.push(T::default());
        Some(slot)
    }
}

fn split(slot: u32) -> (usize, usize) {
    let slot = usize::try_from(slot).unwrap_or(usize::MAX);
    (slot / CHUNK, slot % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Vacant for u64 {
        fn is_vacant(&self) -> bool {
            *self == 0
        }
    }

    #[test]
    fn slots_keep_their_values_and_are_used_again() {
        let mut slab = Slab::default();
        let slots: Vec<u32> = (1..=5_000_u64).map(|value| slab.insert(value).unwrap()).collect();
        for (slot, value) in slots.iter().zip(1..) {
            assert_eq!(slab.get(*slot), Some(&value));
        }
        for slot in slots.iter().step_by(2) {
            assert!(slab.remove(*slot).is_some_and(|value| value % 2 == 1));
            assert_eq!(slab.get(*slot), None);
            assert_eq!(slab.remove(*slot), None);
        }
        assert_eq!((slab.len(), slab.slots().count()), (2_500, 2_500));
        let again: std::collections::BTreeSet<u32> = (0..2_500).map(|_| slab.insert(7).unwrap()).collect();
        assert!(again.iter().all(|slot| slots.contains(slot)) && again.len() == 2_500);
        slots.iter().for_each(|slot| {
            slab.remove(*slot);
        });
        assert_eq!((slab.len(), slab.chunks.len(), slab.free.len()), (0, 0, 0));
    }
}
