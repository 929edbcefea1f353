//! Goods as other products' clients tell of them: the same facts under many names.

use std::borrow::Cow;

use hit::{Item, limits};

use crate::json::Json;
use crate::parsed::ParsedHit;
use crate::query::Query;

/// What may be said of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    Id,
    Name,
    Brand,
    Category,
    Variant,
    Price,
    Quantity,
}

/// Names of the facts in JSON: Google's, Segment's, and what both have in common.
const NAMES: [(&str, Fact); 14] = [
    ("item_id", Fact::Id),
    ("product_id", Fact::Id),
    ("sku", Fact::Id),
    ("id", Fact::Id),
    ("item_name", Fact::Name),
    ("name", Fact::Name),
    ("item_brand", Fact::Brand),
    ("brand", Fact::Brand),
    ("item_category", Fact::Category),
    ("category", Fact::Category),
    ("item_variant", Fact::Variant),
    ("variant", Fact::Variant),
    ("price", Fact::Price),
    ("quantity", Fact::Quantity),
];

/// Google's names in queries: `pr1nm`, or `nm` in `pr1=…~nmCap~…`.
const SHORT: [(&str, Fact); 7] = [
    ("id", Fact::Id),
    ("nm", Fact::Name),
    ("br", Fact::Brand),
    ("ca", Fact::Category),
    ("va", Fact::Variant),
    ("pr", Fact::Price),
    ("qt", Fact::Quantity),
];

impl ParsedHit<'_> {
    /// Adds an item; one of which nothing is said, and those beyond the limit, are left out.
    pub(crate) fn fit_item(&mut self, item: Item) {
        if item != Item::default() && self.items.len() < limits::ITEMS {
            self.items.push(item);
        }
    }

    /// Items of a JSON list of objects.
    pub(crate) fn fit_items(&mut self, list: Option<&Json<'_>>) {
        let Some(Json::List(list)) = list else { return };
        for object in list {
            let mut item = Item::default();
            for (name, fact) in NAMES {
                if let Some(value) = object.text(name) {
                    say(&mut item, fact, &value);
                }
            }
            self.fit_item(item);
        }
    }

    /// Matomo's `[["SKU-1","Cap","Hats",24.75,2],…]`; the category may be a list, of which the first counts.
    pub(crate) fn fit_item_rows(&mut self, json: &str) {
        let Ok(Json::List(rows)) = serde_json::from_str(json) else { return };
        for row in rows {
            let Json::List(fields) = row else { continue };
            let mut item = Item::default();
            let order = [Fact::Id, Fact::Name, Fact::Category, Fact::Price, Fact::Quantity];
            for (fact, value) in order.into_iter().zip(&fields) {
                let value = match value {
                    Json::List(values) => values.first().and_then(Json::as_text),
                    value => value.as_text(),
                };
                say(&mut item, fact, &value.unwrap_or_default());
            }
            self.fit_item(item);
        }
    }

    /// Google Analytics 4's `pr1=idSKU-1~nmCap~pr24.75~qt2~`. A `~` within a value is not told from one between two.
    pub(crate) fn fit_joined_items(&mut self, query: &Query<'_>) {
        for number in 1..=limits::ITEMS {
            let Some(joined) = query.get(&format!("pr{number}")) else { return };
            let mut item = Item::default();
            for part in joined.split('~') {
                if let Some((name, value)) = part.split_at_checked(2)
                    && let Some((_, fact)) = SHORT.into_iter().find(|(short, _)| *short == name)
                {
                    say(&mut item, fact, value);
                }
            }
            self.fit_item(item);
        }
    }

    /// Universal Analytics' `pr1id`, `pr1nm`, and so on.
    pub(crate) fn fit_numbered_items(&mut self, query: &Query<'_>) {
        for number in 1..=limits::ITEMS {
            let mut item = Item::default();
            for (short, fact) in SHORT {
                if let Some(value) = query.get(&format!("pr{number}{short}")) {
                    say(&mut item, fact, &value);
                }
            }
            if item == Item::default() {
                return;
            }
            self.fit_item(item);
        }
    }
}

/// Puts a fact; the first that is said stays.
pub(crate) fn say(item: &mut Item, fact: Fact, value: &str) {
    let text = match fact {
        Fact::Id => &mut item.id,
        Fact::Name => &mut item.name,
        Fact::Brand => &mut item.brand,
        Fact::Category => &mut item.category,
        Fact::Variant => &mut item.variant,
        Fact::Price | Fact::Quantity => {
            let number = if fact == Fact::Price { &mut item.price } else { &mut item.quantity };
            if number.is_none() {
                *number = value.trim().parse().ok().filter(|number: &f64| number.is_finite());
            }
            return;
        }
    };
    if text.is_empty() {
        let end = value.floor_char_boundary(limits::ITEM_TEXT_BYTES);
        *text = value[..end].to_owned();
    }
}

/// An item of a query with these names.
pub(crate) fn of_query(query: &Query<'_>, names: &[(&str, Fact)]) -> Item {
    let mut item = Item::default();
    for (name, fact) in names {
        say(&mut item, *fact, &query.get(name).unwrap_or(Cow::Borrowed("")));
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Place;

    fn cap() -> Item {
        Item {
            id: "SKU-1".into(),
            name: "Cap".into(),
            price: Some(24.75),
            quantity: Some(2.0),
            ..Item::default()
        }
    }

    fn items(fit: impl FnOnce(&mut ParsedHit<'_>)) -> Vec<Item> {
        let mut hit = ParsedHit::empty(Place::Request);
        fit(&mut hit);
        hit.items
    }

    #[test]
    fn every_way_to_tell_of_an_item_is_understood() {
        let google = r#"[{"item_id":"SKU-1","item_name":"Cap","price":24.75,"quantity":2},{}]"#;
        let segment = r#"[{"product_id":"SKU-1","sku":"OTHER","name":"Cap","price":"24.75","quantity":2}]"#;
        for json in [google, segment] {
            let list: Json<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(items(|hit| hit.fit_items(Some(&list))), [cap()], "{json}");
        }
        assert_eq!(items(|hit| hit.fit_item_rows(r#"[["SKU-1","Cap","",24.75,2]]"#)), [cap()]);
        let query = Query::parse(b"pr1=idSKU-1~nmCap~pr24.75~qt2~&pr3=idNo");
        assert_eq!(items(|hit| hit.fit_joined_items(&query)), [cap()]);
        let query = Query::parse(b"pr1id=SKU-1&pr1nm=Cap&pr1pr=24.75&pr1qt=2&pr2id=B");
        let second = Item { id: "B".into(), ..Item::default() };
        assert_eq!(items(|hit| hit.fit_numbered_items(&query)), [cap(), second]);
    }

    #[test]
    fn items_stay_within_their_limits() {
        let mut item = Item::default();
        say(&mut item, Fact::Name, &"é".repeat(99));
        say(&mut item, Fact::Price, "NaN");
        assert_eq!((item.name.len(), item.price), (limits::ITEM_TEXT_BYTES, None));
        let many = items(|hit| (0..300).for_each(|_| hit.fit_item(cap())));
        assert_eq!(many.len(), limits::ITEMS);
    }
}
