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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Form, Model, Property};

    /// The example of docs/rules.md sets something in every table.
    #[test]
    fn rules_that_are_written_give_the_same_rules() {
        let docs = include_str!("../../../docs/rules.md");
        let example = docs.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
        let rules = RulesFile::parse(example).unwrap();
        let property = Property { rules: Some(rules.clone()), ..Property::default() };
        let model = Model { properties: Some(vec![property]), ..Model::default() };
        for form in [Form::Yaml, Form::Json] {
            let text = model.text(form).unwrap();
            let read = Model::parse(&text).unwrap().properties.unwrap().remove(0).rules;
            assert_eq!(read.as_ref(), Some(&rules), "{text}");
            let usual = ["session_grace_s", "cut_at_midnight", "trailing_slash: keep", "endpoint"];
            assert!(!usual.iter().any(|usual| text.contains(usual)), "{text}");
        }
    }

    #[test]
    fn the_zone_is_the_propertys() {
        let rules = RulesFile::parse("time_zone = \"Asia/Tokyo\"\nsession_timeout_s = 60\n").unwrap();
        let property = Property { rules: Some(rules), ..Property::default() };
        let model = Model { properties: Some(vec![property]), ..Model::default() };
        assert_eq!(model.text(Form::Yaml).unwrap(), "properties:\n- rules:\n    session_timeout_s: 60\n");
    }
}
