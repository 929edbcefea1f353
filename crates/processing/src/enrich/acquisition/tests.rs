//! Where sessions come from: page, referrer, and what follows.

use super::*;

fn arrival<'a>(page: &'a str, referrer: &'a str) -> Arrival<'a> {
    Arrival {
        page: Address::parse(page),
        referrer: Address::parse(referrer),
        first_source: "(not set)".into(),
        ignored_referrers: Arc::default(),
    }
}

#[test]
fn source_medium_campaign() {
    let page = "https://www.shop.example/";
    let tagged = "https://shop.example/?utm_source=letter&utm_medium=email&utm_campaign=may";
    for (page, referrer, expected) in [
        (page, "", ["(direct)", "(none)", ""]),
        (page, "garbage", ["(direct)", "(none)", ""]),
        (page, "https://shop.example/other", ["(direct)", "(none)", ""]),
        (page, "https://www.shop.example/other", ["(direct)", "(none)", ""]),
        (page, "https://blog.shop.example/", ["(direct)", "(none)", ""]),
        (page, "https://www.news.example/a?b", ["news.example", "referral", ""]),
        (page, "android-app://com.mail.app/", ["com.mail.app", "referral", ""]),
        (page, "https://www.google.com/", ["google", "organic", ""]),
        (page, "https://www.google.co.uk/search?q=x", ["google", "organic", ""]),
        (page, "https://google.de", ["google", "organic", ""]),
        (page, "https://google.com.au", ["google", "organic", ""]),
        (page, "https://news.google.com/", ["google", "organic", ""]),
        (page, "https://mail.google.com/", ["mail.google.com", "referral", ""]),
        (page, "https://google.news.example/", ["google.news.example", "referral", ""]),
        (page, "https://notgoogle.com/", ["notgoogle.com", "referral", ""]),
        (page, "https://uk.search.yahoo.com/", ["yahoo", "organic", ""]),
        (page, "https://search.yahoo.co.jp/", ["yahoo", "organic", ""]),
        (page, "https://www.bing.com/", ["bing", "organic", ""]),
        (page, "https://duckduckgo.com/", ["duckduckgo", "organic", ""]),
        (page, "https://yandex.com.tr/", ["yandex", "organic", ""]),
        (page, "https://ya.ru/", ["yandex", "organic", ""]),
        (page, "https://www.ecosia.org/", ["ecosia", "organic", ""]),
        (page, "https://search.brave.com/", ["brave", "organic", ""]),
        (page, "https://l.facebook.com/l.php", ["facebook", "referral", ""]),
        (page, "https://t.co/abc", ["twitter", "referral", ""]),
        (page, "https://not.co/abc", ["not.co", "referral", ""]),
        (page, "https://netflix.com/", ["netflix", "referral", ""]),
        (page, "https://out.reddit.com/", ["reddit", "referral", ""]),
        ("https://my-shop.github.io/", "https://other.github.io/", ["other.github.io", "referral", ""]),
        (page, "https://chatgpt.com/", ["chatgpt", "ai-assistant", "(ai-assistant)"]),
        (page, "https://gemini.google.com/app", ["gemini", "ai-assistant", "(ai-assistant)"]),
        (
            "https://shop.example/?utm_source=chatgpt.com",
            "",
            ["chatgpt.com", "ai-assistant", "(ai-assistant)"],
        ),
        (page, "https://checkout.stripe.com/c/pay", ["(direct)", "(none)", ""]),
        (page, "https://www.paypal.com/", ["(direct)", "(none)", ""]),
        ("https://shop.example/?gclid=abc", "https://www.google.com/", ["google", "cpc", ""]),
        ("https://shop.example/?msclkid=abc", "", ["bing", "cpc", ""]),
        ("https://shop.example/?gclid=", "https://www.google.com/", ["google", "organic", ""]),
        ("https://shop.example/?gclid=abc&utm_source=ads&utm_medium=cpc", "", ["ads", "cpc", ""]),
        ("https://shop.example/?fbclid=abc", "", ["facebook", "referral", ""]),
        ("https://shop.example/?fbclid=abc", "https://www.news.example/", ["news.example", "referral", ""]),
        ("https://shop.example/?mc_cid=abc", "", ["mailchimp", "email", ""]),
        ("", "https://www.bing.com/", ["bing", "organic", ""]),
        (tagged, "https://www.bing.com/", ["letter", "email", "may"]),
        ("https://a.example/?utm_source=x", "https://www.bing.com/", ["x", "(not set)", ""]),
        (
            "https://a.example/?utm_medium=cpc&utm_campaign=y",
            "https://www.bing.com/",
            ["bing", "organic", ""],
        ),
    ] {
        let found = arrival(page, referrer).acquisition(VisitorType::NotSet);
        assert_eq!([&*found.source, &*found.medium, &*found.campaign], expected, "{page} from {referrer}");
    }
}

#[test]
fn long_source_is_cut() {
    let page = format!("https://a.example/?utm_source={}", "s".repeat(300));
    assert_eq!(arrival(&page, "").acquisition(VisitorType::NotSet).source.len(), CAMPAIGN_BYTES);
}

#[test]
fn ignored_referrers_are_no_source() {
    let source = |page, referrer| {
        let ignored = ["bank.example".to_owned()];
        let arrival =
            Arrival { ignored_referrers: Arc::new(Domains::new(&ignored)), ..arrival(page, referrer) };
        arrival.acquisition(VisitorType::NotSet).source.to_string()
    };
    let page = "https://shop.example/";
    assert_eq!(source(page, "https://bank.example/3ds"), "(direct)");
    assert_eq!(source(page, "https://www.secure.bank.example/"), "(direct)");
    assert_eq!(source(page, "https://notbank.example/"), "notbank.example");
    assert_eq!(source("https://shop.example/?fbclid=x", "https://bank.example/"), "facebook");
}

#[test]
fn campaign_is_named_by_tags_and_paid_links_alone() {
    let of = |query: &str| {
        let page = format!("https://shop.example/?{query}");
        let campaign = campaign(&Address::parse(&page))?;
        Some([&campaign.source, &campaign.medium, &campaign.campaign].map(ToString::to_string))
    };
    let named = |parts: [&str; 3]| Some(parts.map(str::to_owned));
    assert_eq!(of("utm_source=a&utm_medium=b&utm_campaign=c"), named(["a", "b", "c"]));
    assert_eq!(of("utm_source=a&gclid=x"), named(["a", "(not set)", ""]));
    assert_eq!(of("gclid=x"), named(["google", "cpc", ""]));
    assert_eq!(of("fbclid=x"), None);
    assert_eq!(of("utm_medium=b&utm_campaign=c"), None);
    assert_eq!(of(""), None);
}
