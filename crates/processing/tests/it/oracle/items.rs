//! What becomes of goods, item by item: how many they count as and what they bring is written by hand in the world.

use batch::{ItemRow, RowKey};
use hit::{CustomScope, RawHit, Rules, parameter};

use super::{Booked, Mistake, Oracle};
use crate::world::goods_of;

/// Id, name, brand, category, variant, currency, custom.
pub(crate) type ItemTexts = [String; 7];
/// Lines, then items viewed, added to a cart, checked out, purchased, then revenue.
pub(crate) type ItemSums = [u64; 6];

impl Booked {
    pub(super) fn add_item(&mut self, row: &ItemRow) {
        let texts = [
            &row.item_id,
            &row.item_name,
            &row.item_brand,
            &row.item_category,
            &row.item_variant,
            &row.currency,
            &row.custom,
        ];
        let sums = [
            row.lines,
            row.items_viewed,
            row.items_added_to_cart,
            row.items_checked_out,
            row.items_purchased,
            row.item_revenue_micros,
        ];
        self.add_line(&row.key, texts.map(ToString::to_string), sums);
    }

    pub(super) fn add_line(&mut self, key: &RowKey, texts: ItemTexts, sums: ItemSums) {
        let booked = self.items.entry((key.clone(), texts)).or_default();
        for (sum, more) in booked.iter_mut().zip(sums) {
            *sum += more;
        }
    }
}

impl Oracle<'_> {
    /// The lines of a hit.
    pub(super) fn lines(
        &mut self,
        raw: &RawHit,
        rules: &Rules,
        hour: i64,
        now: u64,
    ) -> Vec<(ItemTexts, ItemSums)> {
        let Some(place) = self.place(&raw.event) else { return Vec::new() };
        let mut lines = Vec::new();
        for item in &raw.items {
            let goods = goods_of(item);
            let mut sums = [1, 0, 0, 0, 0, 0];
            sums[place] = match item.quantity {
                None if self.errs(Mistake::QuantityHasToBeSaid) => 0,
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                Some(quantity) if self.errs(Mistake::QuantityIsCutOff) => quantity as u64,
                _ => goods.count,
            };
            if place == 4 || self.errs(Mistake::CartsBringMoney) {
                sums[5] = goods.micros;
            }
            if self.errs(Mistake::PriceIsThatOfTheLine) && place == 4 && goods.micros > 0 {
                sums[5] = goods.price_micros;
            }
            let mut texts =
                [&item.id, &item.name, &item.brand, &item.category, &item.variant].map(Clone::clone);
            let name = format!("item {}", texts.join("|"));
            if self.text_or_other(raw, name, hour, now) == "(other)"
                && !self.errs(Mistake::ItemsAreNeverOther)
            {
                texts = texts.map(|_| "(other)".to_owned());
            }
            let custom = self.custom(raw, rules, goods.size, hour, now);
            let [id, name, brand, category, variant] = texts;
            lines.push(([id, name, brand, category, variant, self.currency(raw, rules), custom], sums));
        }
        lines
    }

    /// Where items of an event count.
    fn place(&self, event: &str) -> Option<usize> {
        match event {
            "view_item" => Some(1),
            "Product Added" if !self.errs(Mistake::OnlyGooglesEventsHaveItems) => Some(2),
            "add_to_cart" => Some(2),
            "begin_checkout" => Some(3),
            "purchase" => Some(4),
            "item" if !self.errs(Mistake::LinesOfOrdersAreNotBought) => Some(4),
            _ if self.errs(Mistake::ItemsOfAnyEventAreViewed) => Some(1),
            _ => None,
        }
    }

    fn currency(&self, raw: &RawHit, rules: &Rules) -> String {
        let of_event = raw.params.iter().find(|param| param.key == "currency");
        let sent = match of_event.and_then(|param| param.value.clone()) {
            Some(parameter::Value::Text(text)) if !self.errs(Mistake::ItemsHaveTheCurrencyOfTheProperty) => {
                text
            }
            _ => rules.currency.clone(),
        };
        match sent.as_str() {
            "eur" => "EUR",
            "USD" => "USD",
            _ => "(not set)",
        }
        .to_owned()
    }

    /// The size, in the slot that the rules give it.
    fn custom(&mut self, raw: &RawHit, rules: &Rules, size: &str, hour: i64, now: u64) -> String {
        let any_scope = self.errs(Mistake::ScopeIsIgnored);
        let is_of_items = |scope| scope == CustomScope::Item || any_scope;
        let Some(rule) = rules.events.custom.iter().find(|rule| is_of_items(rule.scope)) else {
            return String::new();
        };
        if size.is_empty() {
            return String::new();
        }
        let before = "\u{1f}".repeat(usize::from(rule.slot) - 1);
        let folded = self.text_or_other(raw, format!("custom {before}{size}"), hour, now) == "(other)";
        before + if folded { "(other)" } else { size }
    }
}
