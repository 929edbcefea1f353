//! Goods of shop events: what an event does with its items, how many there are, and what was paid for them.
//!
//! *Events* are those of Google Analytics 4 and of Segment's specification; `item` is a line of an order that comes as a hit of its own, as
//! Universal Analytics and Snowplow send it. *Quantity*: 1 where none is said, and rounded up, for half a kilo of cheese is one item; none
//! where it is not above 0 or beyond 10^9. *Revenue*: price by quantity as it was sent, of what was bought; none where the price or what
//! comes of it is no amount of money.

use hit::{ItemView, limits};

use crate::enrich::money;
use crate::handover::ItemAction;

/// What an event does with its items; `None`: nothing that is counted.
pub fn action(event: &str) -> Option<ItemAction> {
    match event {
        "view_item" | "Product Viewed" => Some(ItemAction::Viewed),
        "add_to_cart" | "Product Added" => Some(ItemAction::AddedToCart),
        "begin_checkout" | "Checkout Started" => Some(ItemAction::CheckedOut),
        "item" => Some(ItemAction::Purchased),
        event if money::PURCHASES.contains(&event) => Some(ItemAction::Purchased),
        _ => None,
    }
}

/// How many items a line counts as.
pub fn quantity(item: &ItemView<'_>) -> u64 {
    let quantity = item.quantity.unwrap_or(1.0);
    // At most 10^9, so that this is exact.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    if quantity > 0.0 && quantity <= limits::ITEM_QUANTITY { quantity.ceil() as u64 } else { 0 }
}

/// What was paid for a line, millionths of the currency's unit.
pub fn revenue_micros(action: ItemAction, item: &ItemView<'_>) -> u64 {
    if action != ItemAction::Purchased || quantity(item) == 0 {
        return 0;
    }
    let amount = item.price.map(|price| price * item.quantity.unwrap_or(1.0));
    amount.and_then(money::micros).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_shops_are_told_apart() {
        use ItemAction::{AddedToCart, CheckedOut, Purchased, Viewed};
        for (event, expected) in [
            ("view_item", Some(Viewed)),
            ("Product Viewed", Some(Viewed)),
            ("add_to_cart", Some(AddedToCart)),
            ("Product Added", Some(AddedToCart)),
            ("begin_checkout", Some(CheckedOut)),
            ("Checkout Started", Some(CheckedOut)),
            ("purchase", Some(Purchased)),
            ("Order Completed", Some(Purchased)),
            ("item", Some(Purchased)),
            ("view_item_list", None),
            ("remove_from_cart", None),
            ("refund", None),
            ("cart_update", None),
            ("page_view", None),
        ] {
            assert_eq!(action(event), expected, "{event}");
        }
    }

    #[test]
    fn odd_quantities_and_prices_count_nothing_that_was_not_there() {
        for (price, quantity_of, items, micros) in [
            (Some(24.75), Some(2.0), 2, 49_500_000),
            (Some(24.75), None, 1, 24_750_000),
            (Some(12.4), Some(0.5), 1, 6_200_000),
            (Some(1.0), Some(2.5), 3, 2_500_000),
            (None, Some(2.0), 2, 0),
            (Some(0.0), Some(2.0), 2, 0),
            (Some(5.0), Some(0.0), 0, 0),
            (Some(5.0), Some(-1.0), 0, 0),
            (Some(-5.0), Some(-1.0), 0, 0),
            (Some(-5.0), Some(1.0), 1, 0),
            (Some(5.0), Some(f64::NAN), 0, 0),
            (Some(5.0), Some(f64::INFINITY), 0, 0),
            (Some(f64::NAN), Some(1.0), 1, 0),
            (Some(5.0), Some(1e9), 1_000_000_000, 5_000_000_000_000_000),
            (Some(5.0), Some(1.1e9), 0, 0),
            (Some(1e10), Some(1.0), 1, 10_000_000_000_000_000),
            (Some(1e10), Some(2.0), 2, 0),
            (Some(1e300), Some(1e9), 1_000_000_000, 0),
        ] {
            let item = ItemView { price, quantity: quantity_of, ..ItemView::default() };
            let found = (quantity(&item), revenue_micros(ItemAction::Purchased, &item));
            assert_eq!(found, (items, micros), "{price:?} x {quantity_of:?}");
            assert_eq!(revenue_micros(ItemAction::AddedToCart, &item), 0);
        }
    }
}
