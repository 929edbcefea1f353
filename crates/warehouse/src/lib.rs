//! The warehouse seen by loader and api: tables, numbered migrations, client settings.
