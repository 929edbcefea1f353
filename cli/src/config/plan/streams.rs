//! Data streams of a property: those that the file names, and those that are there.
//!
//! In: names. Out: streams to be made, and those that the file does not have. A stream is told by its name, and the one that was made with
//! the property is never among them.

use anyhow::bail;

use super::super::check;
use super::super::entry::{Action, Entry, Kind};
use super::super::resolve::Slot;
use super::{Phase, Planner, Step};

impl Planner<'_> {
    pub(super) fn streams(&mut self, number: usize, slot: &Slot<'_>) -> anyhow::Result<()> {
        let Some(wanted) = &slot.file.streams else { return Ok(()) };
        let id = slot.there.map(|there| there.property_id.as_str()).unwrap_or_default();
        let there = self.details.streams.get(id).map(Vec::as_slice).unwrap_or_default();
        let entry = |action, place: String, name: &str, id: &str| Entry {
            action,
            kind: Kind::Stream,
            place,
            of: format!("property {:?}", slot.name()),
            name: name.to_owned(),
            id: id.to_owned(),
            fields: Vec::new(),
        };
        for (index, name) in wanted.iter().enumerate() {
            let place = format!("{}.streams[{index}]", slot.place);
            check::name(name, &place)?;
            if wanted.iter().take(index).any(|before| before == name) {
                bail!(
                    "{place} is {name:?}, and so is one before it; streams are told by their names, so give each its own"
                );
            }
            if !there.iter().any(|stream| stream.name == *name) {
                let step = Step::CreateStream { slot: number, name: name.clone() };
                self.change(Phase::Streams, entry(Action::Create, place, name, ""), step);
            }
        }
        for stream in there.iter().filter(|stream| !wanted.contains(&stream.name)) {
            let measurement_id = stream.measurement_id.clone();
            let place = format!("{}.streams", slot.place);
            let entry = entry(Action::Leave, place, &stream.name, &measurement_id);
            self.beside(Phase::StreamsEnded, entry, Step::DeleteStream { slot: number, measurement_id });
        }
        Ok(())
    }
}
