//! What a command prints that answers with one thing: one JSON object, or a table of its fields.

use comfy_table::Table;
use serde_json::{Map, Value, json};

use crate::property::Format;

/// Prints fields in this order.
pub(crate) fn fields(fields: &[(&str, String)], format: Format) {
    match format {
        Format::Json => {
            let object: Map<_, _> =
                fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            println!("{}", Value::Object(object));
        }
        Format::Table => {
            let mut table = Table::new();
            table.set_header(["field", "value"]);
            for (name, value) in fields {
                table.add_row([*name, value]);
            }
            println!("{table}");
        }
    }
}
