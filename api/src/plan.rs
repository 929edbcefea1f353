//! What a report asks, checked, and which tables answer it.
//!
//! In: a request, the property it may read, the present instant. Out: a [`Plan`] in which nothing can be wrong: known
//! fields, possible pairs, days, a filter tree, an order, a bound on rows, and one table or several with the measures each
//! gives. The narrowest table that has every dimension named answers. Invariant: no text of the request reaches SQL but
//! as a bound value.

use std::sync::Arc;

use property::Property;
use proto::report::{OrderBy, RunReportRequest};

use crate::refuse::Refusal;

pub mod fields;
pub mod dates;
pub mod filter;

use dates::Days;
use fields::{Dimension, Measure, Metric, Subject, names};
use filter::Filter;

/// Rows when the request names no limit.
pub const LIMIT_DEFAULT: usize = 10_000;

/// Most rows of an answer, and of what is joined from several tables.
pub const LIMIT_MAX: usize = 250_000;

const METRICS_MAX: usize = 10;
const DIMENSIONS_MAX: usize = 9;
const ORDER_BY_MAX: usize = 20;

/// A table that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Hits without any dimension but hour and traffic class.
    Totals,
    /// Hits with every dimension.
    Hits,
    /// Closed sessions.
    Sessions,
    /// Measured values.
    Values,
    /// Items of shop events.
    Items,
    /// Hits that were not counted.
    Refusals,
}

/// What one table gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The table.
    pub table: Table,
    /// What to add up there, each once.
    pub measures: Vec<Measure>,
}

/// A sort key: a field by its place in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderKey {
    /// What is sorted by.
    pub field: OrderField,
    /// Largest first.
    pub descending: bool,
}

/// A field by its place in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderField {
    /// `metrics[n]`
    Metric(usize),
    /// `dimensions[n]`
    Dimension(usize),
}

/// A report that can be answered.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whose rows; every query is bound to it.
    pub property: Arc<Property>,
    /// Columns of numbers.
    pub metrics: Vec<Metric>,
    /// Columns of labels.
    pub dimensions: Vec<Dimension>,
    /// Local days.
    pub days: Days,
    /// Which rows count.
    pub filter: Option<Filter>,
    /// Whether only people count, because the request does not name `traffic_class`.
    pub humans_only: bool,
    /// Complete: ends with every dimension.
    pub order: Vec<OrderKey>,
    /// Rows at most.
    pub limit: usize,
    /// Rows to leave out first.
    pub offset: usize,
    /// Whether `sessions` counts closed ones.
    pub closed_sessions_only: bool,
    /// Whether all money is of one currency, so that it has a total.
    pub is_of_one_currency: bool,
    /// One table, or hits, sessions, values, items and refusals.
    pub parts: Vec<Part>,
}

/// Checks a request and chooses the tables.
pub fn plan(request: &RunReportRequest, property: Arc<Property>, now_ms: u64) -> Result<Plan, Refusal> {
    let metrics = parse_fields("metrics", &request.metrics, METRICS_MAX, Metric::parse, || {
        names(Metric::all().map(Metric::name))
    })?;
    if metrics.is_empty() {
        let all = names(Metric::all().map(Metric::name));
        return Err(Refusal::invalid(
            "metrics",
            "",
            format!("but at least one is needed; use some of {all}"),
        ));
    }
    let dimensions =
        parse_fields("dimensions", &request.dimensions, DIMENSIONS_MAX, Dimension::parse, || {
            names(Dimension::ALL.map(Dimension::name))
        })?;
    let filter = filter::parse(&request.filter)
        .map_err(|error| Refusal::invalid("filter", &request.filter, format!("which is wrong {error}")))?;
    let filtered = filter.as_ref().map(Filter::dimensions).unwrap_or_default();
    refuse_impossible_pairs(&metrics, &dimensions, &filtered)?;
    let is_of_one_currency = filter.as_ref().is_some_and(|filter| filter.holds_to_one(Dimension::Currency));
    refuse_mixed_money(&metrics, &dimensions, is_of_one_currency)?;
    let days = dates::parse(&request.from, &request.to, now_ms, property.zone())?;
    let order = order(&request.order_by, &metrics, &dimensions)?;
    let named = || dimensions.iter().chain(&filtered);
    let closed_sessions_only = named().any(|dimension| dimension.is_of_closed_sessions());
    let in_totals = named().all(|dimension| dimension.is_in_totals())
        && metrics.iter().all(|metric| metric.is_in_totals());
    Ok(Plan {
        parts: parts(&metrics, closed_sessions_only, in_totals),
        humans_only: !named().any(|dimension| *dimension == Dimension::TrafficClass),
        limit: limit(request.limit)?,
        offset: usize::try_from(request.offset).unwrap_or(usize::MAX),
        property,
        metrics,
        dimensions,
        days,
        filter,
        order,
        closed_sessions_only,
        is_of_one_currency,
    })
}

fn parse_fields<F: Copy + PartialEq>(
    field: &str,
    given: &[String],
    max: usize,
    parse: impl Fn(&str) -> Option<F>,
    known: impl Fn() -> String,
) -> Result<Vec<F>, Refusal> {
    if given.len() > max {
        let count = given.len().to_string();
        return Err(Refusal::invalid(
            field,
            &count,
            format!("which is too many: at most {max} are answered"),
        ));
    }
    let mut fields = Vec::with_capacity(given.len());
    for (index, name) in given.iter().enumerate() {
        let at = || format!("{field}[{index}]");
        let parsed = parse(name).ok_or_else(|| {
            Refusal::invalid(at(), name, format!("which is not known; use one of {}", known()))
        })?;
        if fields.contains(&parsed) {
            return Err(Refusal::invalid(at(), name, "which is there already; name it once"));
        }
        fields.push(parsed);
    }
    Ok(fields)
}

fn refuse_impossible_pairs(
    metrics: &[Metric],
    dimensions: &[Dimension],
    filtered: &[Dimension],
) -> Result<(), Refusal> {
    let places = [("dimensions", dimensions), ("filter", filtered)];
    for metric in metrics {
        for (place, dimensions) in places {
            for dimension in dimensions {
                let Some(instead) = metric.refuses(*dimension) else { continue };
                let problem =
                    format!("which cannot be had together with the metric {}: {instead}", metric.name());
                return Err(Refusal::invalid(place, dimension.name(), problem));
            }
        }
    }
    Ok(())
}

/// Sums of different currencies mean nothing: money needs its currency as a dimension, or one that the filter holds it to.
fn refuse_mixed_money(
    metrics: &[Metric],
    dimensions: &[Dimension],
    is_of_one_currency: bool,
) -> Result<(), Refusal> {
    let is_apart = is_of_one_currency || dimensions.contains(&Dimension::Currency);
    let money = metrics.iter().find(|metric| metric.is_money());
    let Some(money) = money.filter(|_| !is_apart) else { return Ok(()) };
    let problem = "which would add up different currencies; add the dimension currency, or hold the filter to one, as in \
                   currency==EUR or currency==EUR and country==DE";
    Err(Refusal::invalid("metrics", money.name(), problem))
}

/// Hits answer from the narrowest table; sessions, values, items and refusals have one each.
fn parts(metrics: &[Metric], closed_sessions_only: bool, in_totals: bool) -> Vec<Part> {
    let hits = if in_totals { Table::Totals } else { Table::Hits };
    let mut parts: Vec<Part> = Vec::with_capacity(2);
    for measure in metrics.iter().flat_map(|metric| metric.measures(closed_sessions_only)) {
        let table = match measure.subject() {
            Subject::Sessions => Table::Sessions,
            Subject::Values => Table::Values,
            Subject::Items => Table::Items,
            Subject::Refusals => Table::Refusals,
            Subject::Hits => hits,
        };
        match parts.iter_mut().find(|part| part.table == table) {
            Some(part) if part.measures.contains(measure) => {}
            Some(part) => part.measures.push(*measure),
            None => parts.push(Part { table, measures: vec![*measure] }),
        }
    }
    parts
}

/// The order asked for or the default one, made complete by the dimensions, so that pages never overlap.
fn order(asked: &[OrderBy], metrics: &[Metric], dimensions: &[Dimension]) -> Result<Vec<OrderKey>, Refusal> {
    if asked.len() > ORDER_BY_MAX {
        let count = asked.len().to_string();
        return Err(Refusal::invalid("order_by", &count, format!("which is more than {ORDER_BY_MAX} keys")));
    }
    let metric = |name: &str| metrics.iter().position(|metric| metric.name() == name);
    let dimension = |name: &str| dimensions.iter().position(|dimension| dimension.name() == name);
    let mut order = Vec::with_capacity(asked.len() + dimensions.len());
    for (index, key) in asked.iter().enumerate() {
        let field = metric(&key.field)
            .map(OrderField::Metric)
            .or_else(|| dimension(&key.field).map(OrderField::Dimension))
            .ok_or_else(|| {
                let problem =
                    "which is no metric or dimension of this request; add it there or order by another";
                Refusal::invalid(format!("order_by[{index}].field"), &key.field, problem)
            })?;
        order.push(OrderKey { field, descending: key.descending });
    }
    if order.is_empty() {
        order.push(match dimensions.iter().position(|dimension| *dimension == Dimension::Date) {
            Some(date) => OrderKey { field: OrderField::Dimension(date), descending: false },
            None => OrderKey { field: OrderField::Metric(0), descending: true },
        });
    }
    for place in 0..dimensions.len() {
        let field = OrderField::Dimension(place);
        if !order.iter().any(|key| key.field == field) {
            order.push(OrderKey { field, descending: false });
        }
    }
    Ok(order)
}

fn limit(asked: u32) -> Result<usize, Refusal> {
    match usize::try_from(asked).unwrap_or(usize::MAX) {
        0 => Ok(LIMIT_DEFAULT),
        limit if limit <= LIMIT_MAX => Ok(limit),
        _ => Err(Refusal::invalid(
            "limit",
            &asked.to_string(),
            format!("which is more than {LIMIT_MAX}; ask for less, and for the rest with offset"),
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests;
