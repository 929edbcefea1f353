//! Goods of a hit in our own protocol: every field of an item checked by name, as those of the hit are.
//!
//! What is none of an item's own fields is a parameter of it. `null` counts as absent, but not as the value of a parameter.

use std::borrow::Cow;

use hit::{Item, Parameter, limits};

use crate::fields::{self, Place};
use crate::json::Json;
use crate::refusal::{Code, Refusal};

/// Items of a hit.
pub(super) fn items(place: Place, value: Json<'_>) -> Result<Vec<Item>, Refusal> {
    let list = match value {
        Json::List(list) => list,
        other => return Err(place.invalid("items", &other, "items must be a list of objects".into())),
    };
    if list.len() > limits::ITEMS {
        let message = format!("items has {} entries; send at most {}", list.len(), limits::ITEMS);
        return Err(place.invalid("items", list.len(), message));
    }
    let parse = |(index, value)| match value {
        Json::Map(entries) => item(&ItemPlace { place, index }, entries),
        other => Err(place.invalid(&format!("items[{index}]"), &other, "an item must be an object".into())),
    };
    list.into_iter().enumerate().map(parse).collect()
}

/// Where an item's fields stand.
struct ItemPlace {
    place: Place,
    index: usize,
}

impl ItemPlace {
    fn field(&self, name: &str) -> String {
        self.place.field(&format!("items[{}].{name}", self.index))
    }

    fn invalid(&self, name: &str, value: impl std::fmt::Display, message: String) -> Refusal {
        Refusal::field(Code::InvalidField, self.field(name), value, message)
    }

    fn text(&self, name: &str, value: Json<'_>) -> Result<String, Refusal> {
        match value {
            Json::Text(text) if text.len() <= limits::ITEM_TEXT_BYTES => Ok(text.into_owned()),
            Json::Text(text) => {
                let limit = limits::ITEM_TEXT_BYTES;
                let message = format!("{name} has {} bytes; send at most {limit}", text.len());
                Err(self.invalid(name, text, message))
            }
            other => Err(self.invalid(name, &other, format!("{name} must be a string"))),
        }
    }

    fn number(&self, name: &str, value: &Json<'_>, most: f64) -> Result<Option<f64>, Refusal> {
        let number = match value {
            Json::Whole(_) | Json::Fraction(_) => value.as_number(),
            _ => None,
        };
        match number {
            Some(number) if (0.0..=most).contains(&number) => Ok(Some(number)),
            _ => Err(self.invalid(name, value, format!("{name} must be a number from 0 to {most}"))),
        }
    }
}

fn item(place: &ItemPlace, entries: Vec<(Cow<'_, str>, Json<'_>)>) -> Result<Item, Refusal> {
    let mut item = Item::default();
    let mut seen: Vec<Cow<'_, str>> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if seen.contains(&key) {
            return Err(place.invalid(&key, &value, format!("{key} is given twice; send it once")));
        }
        match (key.as_ref(), value) {
            (
                "item_id" | "item_name" | "item_brand" | "item_category" | "item_variant" | "price"
                | "quantity",
                Json::Null,
            ) => {}
            ("item_id", value) => item.id = place.text(&key, value)?,
            ("item_name", value) => item.name = place.text(&key, value)?,
            ("item_brand", value) => item.brand = place.text(&key, value)?,
            ("item_category", value) => item.category = place.text(&key, value)?,
            ("item_variant", value) => item.variant = place.text(&key, value)?,
            ("price", value) => item.price = place.number(&key, &value, limits::ITEM_PRICE)?,
            ("quantity", value) => item.quantity = place.number(&key, &value, limits::ITEM_QUANTITY)?,
            (_, value) => item.params.push(param(place, &key, value, item.params.len())?),
        }
        seen.push(key);
    }
    if item.id.is_empty() && item.name.is_empty() {
        let message = "an item needs its item_id, or its item_name";
        return Err(Refusal::field(Code::MissingField, place.field("item_id"), "", message));
    }
    Ok(item)
}

fn param(place: &ItemPlace, key: &str, value: Json<'_>, before: usize) -> Result<Parameter, Refusal> {
    if key.is_empty() || key.len() > limits::PARAM_KEY_BYTES {
        let message = format!("the name of a parameter must have 1 to {} bytes", limits::PARAM_KEY_BYTES);
        return Err(place.invalid(&key[..key.floor_char_boundary(limits::PARAM_KEY_BYTES)], &value, message));
    }
    if before >= limits::ITEM_PARAMS {
        let message = format!("an item has at most {} parameters beside its own fields", limits::ITEM_PARAMS);
        return Err(place.invalid(key, &value, message));
    }
    let value = fields::param(&|| place.field(key), value)?;
    Ok(Parameter { key: key.to_owned(), value: Some(value) })
}
