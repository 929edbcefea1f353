//! The channel of a visit as an expression of ClickHouse: Google Analytics 4's default channel group, in its order, and AI Assistant.
//!
//! It is worked out when a report is asked for, from source, medium and campaign as they are stored: a rule that changes holds for history as
//! well. Texts are constants of this file and of `crates/sources`; those of a property's own channels are bound values.

use std::sync::LazyLock;

use hit::ChannelRule;
use sources::Category;

/// `multiIf(…)`, to be used in the place of a column.
pub(super) fn expression() -> &'static str {
    static EXPRESSION: LazyLock<String> = LazyLock::new(build);
    &EXPRESSION
}

/// When a channel of the property's own fits: each list that is given has a pattern that does, whatever the case. `bind` makes a text a
/// bound value.
pub(super) fn conditions(channel: &ChannelRule, bind: &mut impl FnMut(&str) -> String) -> String {
    let lists = [("source", &channel.source), ("medium", &channel.medium), ("campaign", &channel.campaign)];
    let all: Vec<_> = lists
        .into_iter()
        .filter(|(_, patterns)| !patterns.is_empty())
        .map(|(column, patterns)| {
            let any = patterns.iter().map(|pattern| format!("{column} ILIKE {}", bind(&like(pattern))));
            format!("({})", any.collect::<Vec<_>>().join(" OR "))
        })
        .collect();
    all.join(" AND ")
}

/// `*` is any text; what LIKE takes for a sign of its own stands for itself.
fn like(pattern: &str) -> String {
    let escaped = pattern.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    escaped.replace('*', "%")
}

/// Subdomains that a source is also written with.
const PREFIXES: [&str; 7] = ["m", "l", "lm", "old", "out", "web", "www"];

fn build() -> String {
    let (source, medium, campaign) = ("lower(source)", "lower(medium)", "lower(campaign)");
    let is_in = |text: &str, values: &[&str]| format!("{text} IN ({})", quoted(values.iter().copied()));
    let [search, social, video, shopping] =
        [Category::Search, Category::Social, Category::Video, Category::Shopping].map(is_of);
    let paid = format!("match({medium}, '^(.*cp.*|ppc|retargeting|paid.*)$')");
    let shop_campaign = format!("match({campaign}, '^(.*(([^a-df-z]|^)shop|shopping).*)$')");
    let mail = |text: &str| format!("match({text}, 'email|e-mail|e_mail|e mail')");
    let rules = [
        (
            "Direct",
            "(source = '(direct)' AND medium IN ('(none)', '(not set)')) OR (source = '' AND medium = '')"
                .to_owned(),
        ),
        ("Cross-network", format!("position({campaign}, 'cross-network') > 0")),
        ("Paid Shopping", format!("({shopping} OR {shop_campaign}) AND {paid}")),
        ("Paid Search", format!("{search} AND {paid}")),
        ("Paid Social", format!("{social} AND {paid}")),
        ("Paid Video", format!("{video} AND {paid}")),
        ("Display", is_in(medium, &["display", "banner", "expandable", "interstitial", "cpm"])),
        ("Paid Other", paid.clone()),
        ("Organic Shopping", format!("{shopping} OR {shop_campaign}")),
        (
            "Organic Social",
            format!(
                "{social} OR {}",
                is_in(
                    medium,
                    &["social", "social-network", "social-media", "sm", "social network", "social media",]
                )
            ),
        ),
        ("Organic Video", format!("{video} OR position({medium}, 'video') > 0")),
        ("AI Assistant", format!("{medium} = 'ai-assistant'")),
        ("Organic Search", format!("{search} OR {medium} = 'organic'")),
        ("Referral", is_in(medium, &["referral", "app", "link"])),
        ("Email", format!("{} OR {}", mail(source), mail(medium))),
        ("Affiliates", format!("{medium} = 'affiliate'")),
        ("Audio", format!("{medium} = 'audio'")),
        ("SMS", format!("{source} = 'sms' OR {medium} = 'sms'")),
        (
            "Mobile Push Notifications",
            format!("match({medium}, 'push$|mobile|notification') OR {source} = 'firebase'"),
        ),
    ];
    let cases = rules.iter().map(|(channel, condition)| format!("{condition}, '{channel}'"));
    format!("multiIf({}, 'Unassigned')", cases.collect::<Vec<_>>().join(", "))
}

/// Whether the source is of a category, by any text that it goes by.
fn is_of(category: Category) -> String {
    let texts = sources::texts(category);
    let with_prefixes = texts
        .iter()
        .filter(|text| text.contains('.'))
        .flat_map(|host| PREFIXES.iter().map(move |prefix| format!("{prefix}.{host}")));
    let all: Vec<String> = texts.iter().cloned().chain(with_prefixes).collect();
    format!("lower(source) IN ({})", quoted(all.iter().map(String::as_str)))
}

fn quoted<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.map(|text| format!("'{}'", text.replace(['\\', '\''], ""))).collect::<Vec<_>>().join(", ")
}
