//! What a block says beside its hits: how far imports have come, what was not taken, what is to be forgotten.
//!
//! In: the bytes of these messages. Out: views that borrow their texts, with the meaning of the `.proto` file.

use prost::DecodeError;
use proto::hit::{Forget, ImportMark, Refusals};

use super::each_field;

/// An import mark that borrows its property id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MarkView<'a> {
    /// Whose import.
    pub property_id: &'a str,
    /// How far it has come, unix milliseconds.
    pub event_time_ms: u64,
}

/// Refusals that borrow their texts; fields as in [`Refusals`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)] // hit.proto describes each field.
pub struct RefusalsView<'a> {
    pub property_id: &'a str,
    pub rules_version: u32,
    pub reason: &'a str,
    pub count: u64,
}

/// A [`Forget`] that borrows its texts; fields as there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // hit.proto describes each field.
pub struct ForgetView<'a> {
    pub job: &'a str,
    pub property_id: &'a str,
    pub visitor_ids: Vec<u64>,
}

impl<'a> MarkView<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut mark = Self::default();
        each_field(bytes, |tag, field| {
            match tag {
                1 => mark.property_id = field.text()?,
                2 => mark.event_time_ms = field.number()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(mark)
    }

    /// A view of an owned mark.
    pub fn of(mark: &'a ImportMark) -> Self {
        Self { property_id: &mark.property_id, event_time_ms: mark.event_time_ms }
    }
}

impl<'a> RefusalsView<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut refusals = Self::default();
        each_field(bytes, |tag, field| {
            match tag {
                1 => refusals.property_id = field.text()?,
                2 => refusals.rules_version = field.small()?,
                3 => refusals.reason = field.text()?,
                4 => refusals.count = field.number()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(refusals)
    }

    /// A view of owned refusals.
    pub fn of(refusals: &'a Refusals) -> Self {
        Self {
            property_id: &refusals.property_id,
            rules_version: refusals.rules_version,
            reason: &refusals.reason,
            count: refusals.count,
        }
    }
}

impl<'a> ForgetView<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut forget = Self::default();
        each_field(bytes, |tag, field| {
            match tag {
                1 => forget.job = field.text()?,
                2 => forget.property_id = field.text()?,
                3 => field.fixed_into(&mut forget.visitor_ids)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(forget)
    }

    /// A view of an owned mark.
    pub fn of(forget: &'a Forget) -> Self {
        Self { job: &forget.job, property_id: &forget.property_id, visitor_ids: forget.visitor_ids.clone() }
    }
}
