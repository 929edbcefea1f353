//! Everything of a property that is configured.
//!
//! In: a property. Out: its records are gone, those that only find others included. Keys that reach nothing else end; others reach it no
//! more. The log has it all, for ever.

use configuration::replica::Records as _;
use configuration::stored::access::{self, Holder, KEY_OF, Reach};
use configuration::stored::streams::{STREAM_OF, stream_key};
use configuration::stored::{self, ALIAS, ALIAS_OF, NamedProperty, RULES};

use crate::history::draft::Draft;
use crate::history::unreadable;
use crate::refuse::Refusal;

/// Takes a property out of the draft.
pub(super) fn property(draft: &mut Draft<'_>, named: &NamedProperty) -> Result<(), Refusal> {
    let property_id = &named.property.property_id;
    let mut gone = vec![
        stored::property_key(property_id),
        stored::property_of_key(&named.organisation_id, property_id),
        stored::measurement_id_key(&named.property.measurement_id),
        stored::quota::key(property_id),
    ];
    gone.extend(keys(draft, &format!("{RULES}{property_id}/"))?);
    let prefix = format!("{ALIAS_OF}{property_id}/");
    for key in keys(draft, &prefix)? {
        gone.extend(key.strip_prefix(&prefix).map(|alias| format!("{ALIAS}{alias}")));
        gone.push(key);
    }
    let prefix = format!("{STREAM_OF}{property_id}/");
    for key in keys(draft, &prefix)? {
        if let Some(measurement_id) = key.strip_prefix(&prefix) {
            gone.extend([stream_key(measurement_id), stored::measurement_id_key(measurement_id)]);
        }
        gone.push(key);
    }
    gone.into_iter().for_each(|key| draft.delete(key));
    let prefix = format!("{KEY_OF}{}/", named.organisation_id);
    for key in keys(draft, &prefix)? {
        if let Some(key_id) = key.strip_prefix(&prefix) {
            reach_no_more(draft, key_id, property_id)?;
        }
    }
    Ok(())
}

fn reach_no_more(draft: &mut Draft<'_>, key_id: &str, property_id: &str) -> Result<(), Refusal> {
    let Some((hash, mut key)) = access::key_by_id(draft, key_id)? else { return Ok(()) };
    let Holder::Reports { reach: Reach::These(reached), .. } = &mut key.holder else { return Ok(()) };
    let before = reached.len();
    reached.retain(|reached| reached != property_id);
    match (reached.is_empty(), reached.len() == before) {
        (_, true) => {}
        (true, false) => access::delete_key(&key, &hash).into_iter().for_each(|key| draft.delete(key)),
        (false, false) => {
            access::put_key(&key, hash, None).into_iter().for_each(|(key, value)| draft.put(key, value));
        }
    }
    Ok(())
}

fn keys(draft: &Draft<'_>, prefix: &str) -> Result<Vec<String>, Refusal> {
    let mut keys = Vec::new();
    let told = draft.for_each(prefix, &mut |key, _value| keys.push(key.to_owned()));
    told.map_err(|error| unreadable(&error))?;
    Ok(keys)
}
