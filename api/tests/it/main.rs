//! The api as a whole: in this process, on free ports, over the real engine in a process of its own.
//!
//! Rows are inserted by hand into the minute tables, so that the views fill the hourly ones, and every expected figure is
//! computed by hand beside them. The engine library is found by `MERIDIAN_CHDB`, else where `make setup` puts it.

mod running;
mod rows;
mod reports;
mod channels;
mod access;
mod rules;
mod quotas;
mod seams;
