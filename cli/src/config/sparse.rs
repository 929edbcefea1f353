//! Rules as an exported file has them: without what is at its default, and without the time zone, which the property has.
//!
//! In: rules. Out: the table that gives them back when it is read, since what a table of rules leaves out goes to its default.

use property::RulesFile;
use serde::{Serialize as _, Serializer};
use serde_json::{Map, Value};

/// Serialises rules, to be read as what they are.
pub(super) fn rules<S: Serializer>(rules: &Option<RulesFile>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(rules) = rules else { return serializer.serialize_none() };
    let value = |rules: &RulesFile| serde_json::to_value(rules).map_err(serde::ser::Error::custom);
    let (mut table, usual) = (value(rules)?, value(&RulesFile::default())?);
    if let Value::Object(table) = &mut table {
        table.remove("time_zone");
    }
    without(table, &usual).unwrap_or_else(|| Value::Object(Map::new())).serialize(serializer)
}

/// What of a value is not as usual; tables are looked into, lists are whole.
fn without(value: Value, usual: &Value) -> Option<Value> {
    match (value, usual) {
        (value, usual) if value == *usual => None,
        (Value::Object(table), Value::Object(usual)) => {
            let kept = table.into_iter().filter_map(|(name, value)| {
                let other = match usual.get(&name) {
                    Some(usual) => without(value, usual)?,
                    None => value,
                };
                Some((name, other))
            });
            Some(Value::Object(kept.collect()))
        }
        (value, _) => Some(value),
    }
}
