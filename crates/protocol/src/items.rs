//! Goods as other products' clients tell of them: the same facts under many names.

use std::borrow::Cow;

use hit::{Item, Parameter, limits, parameter};

use crate::fit::cut;
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
const NAMES: [(&str, Fact); 16] = [
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
    ("unit_price", Fact::Price),
    ("unitPrice", Fact::Price),
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

/// Google's short names of what else an item has.
const SHORT_PARAMS: [(&str, &str); 15] = [
    ("cp", "coupon"),
    ("ds", "discount"),
    ("lp", "index"),
    ("li", "item_list_id"),
    ("ln", "item_list_name"),
    ("af", "affiliation"),
    ("c2", "item_category2"),
    ("c3", "item_category3"),
    ("c4", "item_category4"),
    ("c5", "item_category5"),
    ("lo", "location_id"),
    ("pi", "promotion_id"),
    ("pn", "promotion_name"),
    ("cn", "creative_name"),
    ("cs", "creative_slot"),
];

impl ParsedHit<'_> {
    /// Adds an item; one of which nothing is said, and those beyond the limit, are left out.
    pub(crate) fn fit_item(&mut self, item: Item) {
        if !says_nothing(&item) && self.items.len() < limits::ITEMS {
            self.items.push(item);
        }
    }

    /// Items of a JSON list of objects.
    pub(crate) fn fit_items(&mut self, list: Option<&Json<'_>>) {
        let Some(Json::List(list)) = list else { return };
        for object in list {
            self.fit_item(of_json(object));
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

    /// Google Analytics 4's `pr1=idSKU-1~nmCap~pr24.75~qt2~k0color~v0red~`. A `~` within a value is not told from one between two.
    pub(crate) fn fit_joined_items(&mut self, query: &Query<'_>) {
        for number in 1..=limits::ITEMS {
            let Some(joined) = query.get(&format!("pr{number}")) else { return };
            self.fit_item(of_joined(&joined));
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
            if says_nothing(&item) {
                return;
            }
            self.fit_item(item);
        }
    }
}

fn says_nothing(item: &Item) -> bool {
    let Item { id, name, brand, category, variant, price, quantity, params: _ } = item;
    [id, name, brand, category, variant].iter().all(|text| text.is_empty())
        && price.is_none()
        && quantity.is_none()
}

/// An item as a JSON object tells of it; what has no place of its own becomes a parameter.
pub(crate) fn of_json(object: &Json<'_>) -> Item {
    let mut item = Item::default();
    for (name, fact) in NAMES {
        if let Some(value) = object.text(name) {
            say(&mut item, fact, &value);
        }
    }
    let Json::Map(fields) = object else { return item };
    for (name, value) in fields.iter().filter(|(name, _)| NAMES.iter().all(|(known, _)| known != name)) {
        let value = match value {
            Json::Flag(flag) => Some(parameter::Value::Flag(*flag)),
            Json::Text(text) => Some(text_value(text)),
            number => number.as_number().map(parameter::Value::Number),
        };
        if let Some(value) = value {
            say_more(&mut item, name, value);
        }
    }
    item
}

/// Parts with two letters before them that say what they are. The names of parameters that Google does not know come as `k0color`, their
/// values as `v0red`.
fn of_joined(joined: &str) -> Item {
    let mut item = Item::default();
    let mut own = None;
    for part in joined.split('~') {
        let number = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count();
        if let Some((number, name)) =
            part.strip_prefix('k').and_then(|rest| rest.split_at_checked(number(rest)))
            && !number.is_empty()
        {
            own = Some((number, name));
        } else if let Some((number, name)) = own
            && let Some(value) = part.strip_prefix('v').and_then(|rest| rest.strip_prefix(number))
        {
            say_more(&mut item, name, text_value(value));
            own = None;
        } else if let Some((short, value)) = part.split_at_checked(2) {
            if let Some((_, fact)) = SHORT.into_iter().find(|(name, _)| *name == short) {
                say(&mut item, fact, value);
            } else if let Some((_, name)) = SHORT_PARAMS.into_iter().find(|(name, _)| *name == short) {
                say_more(&mut item, name, text_value(value));
            }
        }
    }
    item
}

fn text_value(text: &str) -> parameter::Value {
    parameter::Value::Text(cut(Cow::Borrowed(text), limits::PARAM_VALUE_BYTES).into_owned())
}

/// Puts a parameter; empty ones and those beyond the limit are left out, and of two with one name the first stays.
fn say_more(item: &mut Item, key: &str, value: parameter::Value) {
    let key = &key[..key.floor_char_boundary(limits::PARAM_KEY_BYTES)];
    let is_new = item.params.iter().all(|param| param.key != key);
    let is_said = !key.is_empty() && value != parameter::Value::Text(String::new());
    if is_new && is_said && item.params.len() < limits::ITEM_PARAMS {
        item.params.push(Parameter { key: key.to_owned(), value: Some(value) });
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

    /// Keys and values of an item's parameters.
    fn params(item: &Item) -> Vec<(&str, String)> {
        use parameter::Value::{Flag, Number, Text};
        let shown = |value: &Option<parameter::Value>| match value {
            Some(Text(text)) => text.clone(),
            Some(Number(number)) => number.to_string(),
            Some(Flag(flag)) => flag.to_string(),
            None => "?".to_owned(),
        };
        item.params.iter().map(|param| (param.key.as_str(), shown(&param.value))).collect()
    }

    #[test]
    fn what_an_item_has_beside_its_facts_is_a_parameter() {
        // As gtag.js writes it.
        let query = Query::parse(
            b"pr1=idSKU-1~nmCap~afStore~cpSUMMER~ds2.22~lp0~c2Adult~pr24.75~qt2~k0color~v0red~k1fit~v10slim~k2~v2x",
        );
        let google = &items(|hit| hit.fit_joined_items(&query))[0];
        let expected = [
            ("affiliation", "Store"),
            ("coupon", "SUMMER"),
            ("discount", "2.22"),
            ("index", "0"),
            ("item_category2", "Adult"),
            ("color", "red"),
            ("fit", "0slim"),
        ];
        assert_eq!(params(google), expected.map(|(key, value)| (key, value.to_owned())));
        assert_eq!(Item { params: Vec::new(), ..google.clone() }, cap());
        let json = r#"[{"sku":"SKU-1","name":"Cap","price":24.75,"quantity":2,"coupon":"SUMMER","position":3,"new":true,
            "sizes":[1],"more":{"a":1},"none":null,"coupon":"OTHER"}]"#;
        let list: Json<'_> = serde_json::from_str(json).unwrap();
        let segment = &items(|hit| hit.fit_items(Some(&list)))[0];
        let expected = [("coupon", "SUMMER"), ("position", "3"), ("new", "true")];
        assert_eq!(params(segment), expected.map(|(key, value)| (key, value.to_owned())));
        assert_eq!(Item { params: Vec::new(), ..segment.clone() }, cap());
    }

    #[test]
    fn items_stay_within_their_limits() {
        let long = "é".repeat(999);
        let many: String = (0..30).map(|n| format!(r#","{long}{n}":1,"k{n}":"{long}""#)).collect();
        let text = format!(r#"{{"id":"a"{many}}}"#);
        let object: Json<'_> = serde_json::from_str(&text).unwrap();
        let mut hit = ParsedHit::empty(Place::Request);
        hit.fit_item(of_json(&object));
        hit.check_limits();
        assert_eq!(hit.items[0].params.len(), limits::ITEM_PARAMS);
        let mut item = Item::default();
        say(&mut item, Fact::Name, &"é".repeat(99));
        say(&mut item, Fact::Price, "NaN");
        assert_eq!((item.name.len(), item.price), (limits::ITEM_TEXT_BYTES, None));
        let many = items(|hit| (0..300).for_each(|_| hit.fit_item(cap())));
        assert_eq!(many.len(), limits::ITEMS);
    }
}
