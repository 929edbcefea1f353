//! Closed sessions that a client's session id may still name, as messages of stored state.
//!
//! In: sessions as `sessionize` has them. Out: messages, and back with every text checked. Fields are only ever added.

use super::{Acquisition, class_of, missing};
use crate::sessionize;
use crate::state::StateError;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Remembered {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    property: String,
    #[prost(string, tag = "3")]
    traffic_class: String,
    #[prost(fixed64, repeated, tag = "4")]
    visitors: Vec<u64>,
    #[prost(fixed64, tag = "5")]
    session_id: u64,
    #[prost(uint64, tag = "6")]
    forgotten_at_ms: u64,
    #[prost(message, optional, tag = "7")]
    acquisition: Option<Acquisition>,
}

impl From<&sessionize::Remembered> for Remembered {
    fn from(from: &sessionize::Remembered) -> Self {
        Self {
            number: from.number,
            property: from.property.to_string(),
            traffic_class: from.traffic_class.as_str().to_owned(),
            visitors: from.visitors.clone(),
            session_id: from.session_id,
            forgotten_at_ms: from.forgotten_at_ms,
            acquisition: Some(Acquisition::from(from.acquisition.as_ref())),
        }
    }
}

impl Remembered {
    /// The session as `sessionize` has it.
    pub(super) fn into_remembered(self) -> Result<sessionize::Remembered, StateError> {
        let acquisition = self.acquisition.ok_or_else(|| missing("a remembered session's acquisition"))?;
        Ok(sessionize::Remembered {
            number: self.number,
            property: self.property.into(),
            traffic_class: class_of(&self.traffic_class)?,
            visitors: self.visitors,
            session_id: self.session_id,
            forgotten_at_ms: self.forgotten_at_ms,
            acquisition: acquisition.into_shared()?,
        })
    }
}
