//! Hosts of the world, and what they are.

use super::*;

#[test]
fn the_longest_entry_counts() {
    use Category::{Assistant, Search, Shopping, Social, Video};
    for (host, expected) in [
        ("google.com", Some(("google", Search))),
        ("google.co.uk", Some(("google", Search))),
        ("google.com.au", Some(("google", Search))),
        ("news.google.com", Some(("google", Search))),
        ("mail.google.com", None),
        ("gemini.google.com", Some(("gemini", Assistant))),
        ("groups.google.com", Some(("google groups", Social))),
        ("google.news.example", None),
        ("google.shop.com", None),
        ("notgoogle.com", None),
        ("uk.search.yahoo.com", Some(("yahoo", Search))),
        ("shopping.yahoo.com", Some(("yahoo shopping", Shopping))),
        ("l.facebook.com", Some(("facebook", Social))),
        ("t.co", Some(("twitter", Social))),
        ("not.co", None),
        ("netflix.com", Some(("netflix", Video))),
        ("m.youtube.com", Some(("youtube", Video))),
        ("amazon.de", Some(("amazon", Shopping))),
        ("chatgpt.com", Some(("chatgpt", Assistant))),
        ("www.perplexity.ai", Some(("perplexity", Assistant))),
        ("example.com", None),
        ("", None),
    ] {
        assert_eq!(find(host).map(|source| (source.name, source.category)), expected, "{host}");
    }
}

#[test]
fn payment_gateways_are_known_with_their_subdomains() {
    for (host, expected) in [
        ("checkout.stripe.com", true),
        ("paypal.com", true),
        ("www.paypal.com", true),
        ("notpaypal.com", false),
        ("shop.app", false),
        ("example.com", false),
    ] {
        assert_eq!(is_payment_gateway(host), expected, "{host}");
    }
}

#[test]
fn every_line_of_the_files_is_used_once() {
    let lines: Vec<&str> =
        include_str!("sources.tsv").lines().filter(|line| !line.starts_with('#')).collect();
    let hosts: Vec<&str> =
        lines.iter().flat_map(|line| line.rsplit('\t').next().unwrap().split(' ')).collect();
    assert!(lines.iter().all(|line| line.split('\t').count() == 3), "three fields in each line");
    assert_eq!(FACTS.hosts.len() + FACTS.labels.len(), hosts.len(), "no host twice");
    for line in lines {
        let category = line.split('\t').next().unwrap();
        assert!(category == "none" || category_of(category).is_some(), "{line}");
    }
    for gateway in &FACTS.gateways {
        assert!(gateway.contains('.') && !gateway.contains(' '), "{gateway:?}");
    }
}

#[test]
fn texts_are_what_people_write_into_utm_source() {
    let search = texts(Category::Search);
    for text in ["google", "google.com", "google.de", "bing", "bing.com", "ecosia.org"] {
        assert!(search.iter().any(|known| known == text), "{text}");
    }
    assert!(texts(Category::Social).iter().any(|known| known == "fb"));
    assert!(!search.iter().any(|known| known == "mail.google.com"));
}

#[test]
fn spammers_are_known_with_their_subdomains() {
    for (host, expected) in [
        ("semalt.com", true),
        ("semalt.semalt.com", true),
        ("www.100dollars-seo.com", true),
        ("qiwi.xyz", true),
        ("xn--d1aifoe0a9a.top", true),
        ("notsemalt.com", false),
        ("semalt.com.example", false),
        // Only a name below it is on the list.
        ("seoriseome.netlify.app", true),
        ("netlify.app", false),
        ("google.com", false),
        ("com", false),
        ("", false),
    ] {
        assert_eq!(is_spam_referrer(host), expected, "{host}");
    }
}

#[test]
fn no_source_and_no_gateway_is_a_spammer() {
    let known = FACTS.hosts.keys().chain(&FACTS.gateways);
    let both: Vec<_> = known.filter(|host| is_spam_referrer(host)).collect();
    assert_eq!(both, Vec::<&&str>::new());
}

#[test]
fn the_list_of_spammers_is_of_host_names() {
    assert_eq!(SPAM.len(), 2043);
    for host in SPAM.iter() {
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        assert!(host.bytes().all(is_name) && host.contains('.') && !host.starts_with('.'), "{host}");
    }
}
