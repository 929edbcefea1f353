//! Tables of good and bad filters, and any text at all.

use proptest::prelude::*;

use super::*;

/// The tree with as few characters as possible.
fn shown(filter: &Filter) -> String {
    let parts = |parts: &[Filter]| parts.iter().map(shown).collect::<Vec<_>>().join(" ");
    match filter {
        Filter::And(all) => format!("(and {})", parts(all)),
        Filter::Or(any) => format!("(or {})", parts(any)),
        Filter::Condition(Condition { dimension, operator, values }) => {
            format!("{}:{operator:?}:{}", dimension.name(), values.join("|"))
        }
    }
}

#[test]
fn filters_are_read_with_and_before_or() {
    for (text, tree) in [
        ("source==google", "source:Equal:google"),
        ("  source  ==  google  ", "source:Equal:google"),
        ("source!=google", "source:NotEqual:google"),
        ("page_path=~^/blog/", "page_path:Matches:^/blog/"),
        ("page_path !~ '^/(a|b)$'", "page_path:NotMatches:^/(a|b)$"),
        ("country in(DE, \"AT\" ,'')", "country:In:DE|AT|"),
        ("country IN (DE)", "country:In:DE"),
        ("country == \"\"", "country:Equal:"),
        (r#"page_path == "a\"b\\c\d'""#, r#"page_path:Equal:a"b\c\d'"#),
        (r"page_path == 'it\'s'", "page_path:Equal:it's"),
        (
            "source==a and medium==b or device==c and hour==5",
            "(or (and source:Equal:a medium:Equal:b) (and device:Equal:c hour:Equal:5))",
        ),
        ("source==a AND (medium==b OR device==c)", "(and source:Equal:a (or medium:Equal:b device:Equal:c))"),
        ("(source==a)and(medium==b)", "(and source:Equal:a medium:Equal:b)"),
        ("((source==and))", "source:Equal:and"),
        ("page_path==/ü/日本", "page_path:Equal:/ü/日本"),
        ("campaign=='; DROP TABLE hit_hourly; --'", "campaign:Equal:; DROP TABLE hit_hourly; --"),
    ] {
        assert_eq!(parse(text).map(|filter| filter.as_ref().map(shown)), Ok(Some(tree.into())), "{text}");
    }
    assert_eq!(parse(" \t "), Ok(None));
}

#[test]
fn bad_filters_are_refused_with_their_position() {
    let deep = format!("{}source==a", "(".repeat(22));
    let long = "x".repeat(FILTER_MAX_BYTES + 1);
    let many = format!("source in({})", vec!["a"; VALUES_MAX + 1].join(","));
    for (text, position, said) in [
        ("sourse==a", 1, "\"sourse\" is not a dimension"),
        ("page_views==1", 1, "\"page_views\" is not a dimension"),
        ("source=a", 7, "expected one of == != =~ !~"),
        ("source", 7, "expected one of"),
        ("source inside", 8, "expected one of"),
        ("source==", 9, "expected a value"),
        ("source==a b", 11, "expected and, or, or the end"),
        ("source==a or", 11, "expected and, or, or the end"),
        ("source==a or ", 14, "is not a dimension"),
        ("(source==a", 11, "closing parenthesis"),
        ("source==a)", 10, "expected and, or, or the end"),
        ("source in()", 11, "expected a value"),
        ("source in(a b)", 13, "expected a comma"),
        ("ü==a", 1, "\"\" is not a dimension"),
        ("source==ü and mediun==b", 15, "\"mediun\" is not a dimension"),
        ("source=='a", 9, "not closed"),
        ("source==\"a\u{0}b\"", 9, "control character"),
        ("page_path=~'('", 10, "regular expression \"(\" is wrong"),
        ("page_path=~a{1000000}", 10, "regular expression"),
        (deep.as_str(), 22, "parentheses within one another"),
        (long.as_str(), 1, "longer than"),
        (many.as_str(), 411, "more than 200 values"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.problem.contains(said) && error.position == position, "{text:.40}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _any = parse(&text);
    }

    #[test]
    fn no_almost_filter_panics(text in "(source|hour| |in|\\(|\\)|==|=~|and|or|'|\"|\\\\|,|ü|a){0,30}") {
        let _any = parse(&text);
    }

    #[test]
    fn any_printable_value_survives_quoting(value in "\\PC{0,40}") {
        let quoted = format!("source == \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let expected = Filter::Condition(Condition {
            dimension: Dimension::Source,
            operator: Operator::Equal,
            values: vec![value],
        });
        prop_assert_eq!(parse(&quoted), Ok(Some(expected)));
    }
}
