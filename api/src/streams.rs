//! Makes, lists, renames and deletes data streams: where hits of a property come from.
//!
//! A stream is durable, and known at connected edges, before it is answered. The one that was made with a property is the property itself:
//! it is listed, and neither renamed nor deleted here.

use configuration::replica::{Reader, Records};
use configuration::stored::streams::{self, STREAM_OF, Stream, read_stream, stream_key};
use configuration::stored::{self, NamedProperty};
use http::HeaderMap;
use property::key::random_measurement_id;

use crate::authorize::Action;
use crate::calls::{Access, ConfigCalls};
use crate::history::draft::Draft;
use crate::history::unreadable;
use crate::metrics::Method;
use crate::organisations::named;
use crate::properties::no_random;
use crate::refuse::{Code, Refusal};

/// Most data streams of a property, that which was made with it included.
const STREAMS_MAX: usize = 100;

impl ConfigCalls {
    /// Makes a stream.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`; `NotFound` for the admin.
    pub async fn create_stream(
        &self,
        headers: &HeaderMap,
        property_id: String,
        name: String,
    ) -> Result<Stream, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let property = access.property(draft, Action::ChangeProperty, &property_id)?;
            named("name", &name)?;
            if of_property(draft, &property)?.len() >= STREAMS_MAX {
                let problem = format!("but the property has {STREAMS_MAX} data streams; delete one first");
                return Err(Refusal::invalid("name", &name, problem));
            }
            let measurement_id = free_measurement_id(draft)?;
            let (property_id, name) = (property_id.clone(), name.clone());
            let stream = Stream { property_id, measurement_id, name, created_at_ms: access.now_ms };
            put(draft, &stream);
            Ok(stream)
        };
        self.change(Method::CreateStream, headers, make).await
    }

    /// The streams of a property, that which was made with it first.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the admin.
    pub async fn streams(&self, headers: &HeaderMap, property_id: String) -> Result<Vec<Stream>, Refusal> {
        let read = move |reader: &Reader<'_>, access: &Access| {
            of_property(reader, &access.property(reader, Action::ReadProperty, &property_id)?)
        };
        self.read(Method::ListStreams, headers, read).await
    }

    /// Renames a stream.
    ///
    /// # Errors
    /// `InvalidArgument` by field, `PermissionDenied`, `NotFound`.
    pub async fn rename_stream(
        &self,
        headers: &HeaderMap,
        property_id: String,
        measurement_id: String,
        name: String,
    ) -> Result<Stream, Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let property = access.property(draft, Action::ChangeProperty, &property_id)?;
            named("name", &name)?;
            let before = further(draft, &property, &measurement_id)?;
            let stream = Stream { name: name.clone(), ..before };
            put(draft, &stream);
            Ok(stream)
        };
        self.change(Method::UpdateStream, headers, make).await
    }

    /// Deletes a stream.
    ///
    /// # Errors
    /// `InvalidArgument`, `PermissionDenied`, `NotFound`.
    pub async fn delete_stream(
        &self,
        headers: &HeaderMap,
        property_id: String,
        measurement_id: String,
    ) -> Result<(), Refusal> {
        let make = move |draft: &mut Draft<'_>, access: &Access| {
            let property = access.property(draft, Action::ChangeProperty, &property_id)?;
            let stream = further(draft, &property, &measurement_id)?;
            streams::delete(&stream).into_iter().for_each(|key| draft.delete(key));
            Ok(())
        };
        self.change(Method::DeleteStream, headers, make).await
    }
}

fn put(draft: &mut Draft<'_>, stream: &Stream) {
    streams::put(stream).into_iter().for_each(|(key, value)| draft.put(key, value));
}

/// The streams of a property, that which was made with it first.
fn of_property(records: &dyn Records, named: &NamedProperty) -> Result<Vec<Stream>, Refusal> {
    let property = &named.property;
    let prefix = format!("{STREAM_OF}{}/", property.property_id);
    let mut found = vec![Stream {
        property_id: property.property_id.clone(),
        measurement_id: property.measurement_id.clone(),
        name: String::new(),
        created_at_ms: u64::try_from(property.created_at.as_millisecond()).unwrap_or(0),
    }];
    let mut ids = Vec::new();
    let told = records.for_each(&prefix, &mut |key, _empty| {
        ids.extend(key.strip_prefix(&prefix).map(str::to_owned));
    });
    told.map_err(|error| unreadable(&error))?;
    for measurement_id in ids {
        found.extend(stream(records, &measurement_id)?);
    }
    Ok(found)
}

fn stream(records: &dyn Records, measurement_id: &str) -> Result<Option<Stream>, Refusal> {
    let key = stream_key(measurement_id);
    let value = records.get(&key).map_err(|error| unreadable(&error))?;
    value.map(|value| read_stream(&key, &value)).transpose().map_err(|error| unreadable(&error))
}

/// A stream that was not made with the property.
fn further(records: &dyn Records, named: &NamedProperty, measurement_id: &str) -> Result<Stream, Refusal> {
    let property = &named.property;
    if property.measurement_id == measurement_id {
        let problem = "which was made with the property and ends with it; it has the property's name";
        return Err(Refusal::invalid("measurement_id", measurement_id, problem));
    }
    let found = stream(records, measurement_id)?.filter(|found| found.property_id == property.property_id);
    found.ok_or_else(|| {
        let message = format!("property {} has no data stream {measurement_id:?}", property.property_id);
        Refusal::new(Code::NotFound, message)
    })
}

/// Draws until nobody has it.
fn free_measurement_id(draft: &Draft<'_>) -> Result<String, Refusal> {
    loop {
        let drawn = random_measurement_id().map_err(|error| no_random(&error))?;
        if draft.value(&stored::measurement_id_key(&drawn))?.is_none() {
            return Ok(drawn);
        }
    }
}
