//! Names of pages, rule by rule.

use super::*;

fn name(rules: &UrlRules, url: &str) -> String {
    Pages::new(rules, &[]).name(&Address::parse(url)).into_owned()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn check(rules: &UrlRules, cases: &[(&str, &str)]) {
    for (url, expected) in cases {
        assert_eq!(name(rules, &format!("https://a.example{url}")), *expected, "{url} by {rules:?}");
    }
}

#[test]
fn without_rules_the_path_is_borrowed() {
    let pages = Pages::new(&UrlRules::default(), &[]);
    let address = Address::parse("https://a.example/A/?x=1#/y");
    assert!(matches!(pages.name(&address), Cow::Borrowed("/A/")));
    assert_eq!(pages.name(&Address::parse("")), "");
}

#[test]
fn hosts_that_are_not_named_are_not_counted() {
    let rules = UrlRules {
        hostnames: texts(&["shop.example", "www.Other.example", "caf\u{e9}.example"]),
        ..UrlRules::default()
    };
    let counted = |url: &str| Pages::new(&rules, &[]).are_counted(&Address::parse(url));
    for url in [
        "https://shop.example/",
        "https://www.shop.example/",
        "https://SHOP.example:8080/",
        "https://other.example/",
        "https://www.caf\u{e9}.example/",
        "",
    ] {
        assert!(counted(url), "{url}");
    }
    for url in ["https://evil.example/", "https://a.shop.example/", "https://shop.example.evil.example/"] {
        assert!(!counted(url), "{url}");
        assert!(Pages::new(&UrlRules::default(), &[]).are_counted(&Address::parse(url)));
    }
    assert_eq!(name(&rules, "https://shop.example/A"), "/A", "and is called as ever");
}

#[test]
fn kept_parameters_are_part_of_the_page() {
    let named = UrlRules { keep_parameters: texts(&["id", "page"]), ..UrlRules::default() };
    check(
        &named,
        &[
            ("/a?page=2&utm_source=x&id=7", "/a?id=7&page=2"),
            ("/a?page=2", "/a?page=2"),
            ("/a?id=2&id=1&&ID=3", "/a?id=2&id=1"),
            ("/a?id", "/a?id"),
            ("/a?id=", "/a?id="),
            ("/a?id=%20%C3%a9+b", "/a?id=%20%C3%a9+b"),
            ("/a?identity=1", "/a"),
            ("?id=1", "/?id=1"),
            ("/a#x?id=1", "/a"),
        ],
    );
    assert_eq!(name(&named, "nothing?id=1"), "");
    let all = UrlRules {
        keep_parameters: texts(&["*"]),
        strip_parameters: texts(&["utm_source", "gclid"]),
        ..UrlRules::default()
    };
    check(&all, &[("/a?b=1&gclid=x&a=2&utm_source=y&c", "/a?b=1&a=2&c"), ("/a?gclid=x", "/a"), ("/a", "/a")]);
    let stripped = UrlRules { strip_parameters: texts(&["b"]), ..UrlRules::default() };
    check(&stripped, &[("/a?a=1&b=2", "/a")]);
}

#[test]
fn long_pages_are_cut() {
    let rules = UrlRules { keep_parameters: texts(&["*"]), ..UrlRules::default() };
    let page = name(&rules, &format!("https://a.example/?q={}", "x".repeat(1500)));
    assert_eq!((page.len(), page.starts_with("/?q=xx")), (PAGE_PATH_BYTES, true));
}

#[test]
fn paths_are_made_lower_case_and_escapes_stay() {
    let rules = UrlRules { lower_case: true, keep_parameters: texts(&["Q"]), ..UrlRules::default() };
    check(
        &rules,
        &[
            ("/About/US", "/about/us"),
            ("/about", "/about"),
            ("/Caf%C3%A9X", "/caf%C3%A9x"),
            ("/A%", "/a%"),
            ("/A?Q=Big&q=small", "/a?Q=Big"),
        ],
    );
}

#[test]
fn slashes_at_the_end() {
    let by = |trailing_slash| UrlRules { trailing_slash, ..UrlRules::default() };
    check(
        &by(TrailingSlash::Strip),
        &[("/a/", "/a"), ("/a//", "/a"), ("/a", "/a"), ("/", "/"), ("", "/"), ("//", "/")],
    );
    check(
        &by(TrailingSlash::Add),
        &[("/a", "/a/"), ("/a/", "/a/"), ("/a.b/c", "/a.b/c/"), ("/a/c.html", "/a/c.html"), ("/", "/")],
    );
    let both = UrlRules { lower_case: true, ..by(TrailingSlash::Strip) };
    check(&both, &[("/A/", "/a"), ("/A/?b", "/a")]);
}

#[test]
fn part_after_the_hash_is_the_path_where_routes_are_there() {
    let rules = UrlRules {
        hash_routing: true,
        keep_parameters: texts(&["id"]),
        lower_case: true,
        ..UrlRules::default()
    };
    check(
        &rules,
        &[
            ("/app#/Cart", "/cart"),
            ("/#!/cart", "/cart"),
            ("/?id=1#/cart?x=3&id=2", "/cart?id=2"),
            ("/?id=1#/cart", "/cart"),
            ("/App?id=1#top", "/app?id=1"),
            ("/app", "/app"),
            ("/app#", "/app"),
            ("/x#/\u{c4}", "/%C3%84"),
        ],
    );
}

#[test]
fn first_group_that_fits_names_the_page() {
    let group = |pattern: &str, name: Option<&str>| PageGroup {
        pattern: pattern.to_owned(),
        name: name.map(str::to_owned),
    };
    let rules = UrlRules {
        groups: vec![
            group("/product/new", Some("New")),
            group("/product/*", None),
            group("/product/*/reviews/", Some("Reviews")),
            group("/blog/**", Some("Blog")),
            group("/", Some("Home")),
        ],
        keep_parameters: texts(&["id"]),
        ..UrlRules::default()
    };
    check(
        &rules,
        &[
            ("/product/new", "New"),
            ("/product/new/", "New"),
            ("/product/7?id=1", "/product/*"),
            ("/product/", "/product/"),
            ("/product//", "/product//"),
            ("/product/7/reviews", "Reviews"),
            ("/product/7/reviews/2", "/product/7/reviews/2"),
            ("/product/7/photos?id=1", "/product/7/photos?id=1"),
            ("/blog", "Blog"),
            ("/blog/2026/11/25/x", "Blog"),
            ("/blogs", "/blogs"),
            ("", "Home"),
        ],
    );
    let everything = UrlRules { groups: vec![group("/**", Some("All"))], ..UrlRules::default() };
    check(&everything, &[("/", "All"), ("/a/b", "All")]);
    assert_eq!(name(&everything, ""), "", "a hit without a page has no group");
    let lower = UrlRules { groups: vec![group("/Shop/*", None)], lower_case: true, ..UrlRules::default() };
    check(&lower, &[("/SHOP/X", "/Shop/*")]);
}

#[test]
fn names_in_rules_are_written_as_people_read_them() {
    let groups = vec![
        PageGroup { pattern: "/\u{fc}ber/**".into(), name: Some("About".into()) },
        PageGroup { pattern: "/{id}/*".into(), name: None },
    ];
    let rules = UrlRules {
        groups,
        keep_parameters: texts(&["*"]),
        strip_parameters: texts(&["user[email]", "gr\u{f6}\u{df}e"]),
        ..UrlRules::default()
    };
    check(
        &rules,
        &[
            ("/%C3%BCber/uns", "About"),
            ("/\u{fc}ber/uns", "About"),
            ("/{id}/7", "/{id}/*"),
            ("/a?user%5Bemail%5D=a@b.example&x=1", "/a?x=1"),
            ("/a?user[email]=a@b.example&gr%C3%B6%C3%9Fe=38", "/a"),
        ],
    );
}

#[test]
fn key_pages_are_told_by_their_paths_whatever_their_names() {
    let named = UrlRules {
        lower_case: true,
        trailing_slash: TrailingSlash::Strip,
        hash_routing: true,
        keep_parameters: texts(&["id"]),
        groups: vec![PageGroup { pattern: "/order/**".into(), name: Some("Orders".into()) }],
        ..UrlRules::default()
    };
    let patterns = texts(&["/order/*/Thanks", "/caf\u{e9}/**", "/"]);
    let is_key = |rules: &UrlRules, url: &str| Pages::new(rules, &patterns).is_key_page(&Address::parse(url));
    for (url, by_default, by_rules) in [
        ("https://a.example/order/7/Thanks", true, true),
        ("https://a.example/ORDER/7/thanks/?id=1", false, true),
        ("https://a.example/order/7/Thanks/more", false, false),
        ("https://a.example/order/Thanks", false, false),
        ("https://a.example/x#!/order/7/thanks", false, true),
        ("https://a.example/caf%C3%A9", true, true),
        ("https://a.example", true, true),
        ("https://a.example/other", false, false),
        ("", false, false),
    ] {
        assert_eq!(is_key(&UrlRules::default(), url), by_default, "{url} by default");
        assert_eq!(is_key(&named, url), by_rules, "{url} by rules");
    }
    assert!(!Pages::new(&named, &[]).is_key_page(&Address::parse("https://a.example/")));
}
