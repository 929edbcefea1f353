//! What a page is called, read from the rules one by one, over addresses whose parts were written by hand.

use hit::{Rules, TrailingSlash, UrlRules};

use super::mistakes::Mistake;
use crate::world::Page;

type Query = Vec<(&'static str, &'static str)>;

/// The page as reports show it.
pub(crate) fn name(page: &Page, rules: &UrlRules, mistake: Option<Mistake>) -> String {
    let (path, query) = route(page, rules, mistake);
    if path.is_empty() {
        return path;
    }
    let mut groups = rules.groups.clone();
    if mistake == Some(Mistake::LastGroupThatFitsCounts) {
        groups.reverse();
    }
    if mistake == Some(Mistake::GroupsAreIgnored) {
        groups.clear();
    }
    if let Some(group) = groups.iter().find(|group| fits(&group.pattern, &path, rules.lower_case)) {
        return group.name.clone().unwrap_or_else(|| group.pattern.clone());
    }
    let kept = kept(&query, rules, mistake);
    if kept.is_empty() { path } else { format!("{path}?{}", kept.join("&")) }
}

/// Whether a hit of this event and page is a key event for its page.
pub(crate) fn is_key_page(page: &Page, event: &str, rules: &Rules, mistake: Option<Mistake>) -> bool {
    let (path, _) = route(page, &rules.urls, mistake);
    let is_view = event == "page_view" || mistake == Some(Mistake::AnyEventOfAKeyPageIsOne);
    let mut patterns = rules.events.key_pages.iter();
    is_view
        && !path.is_empty()
        && mistake != Some(Mistake::KeyPagesAreIgnored)
        && patterns.any(|pattern| fits(pattern, &path, rules.urls.lower_case))
}

/// Path and query by the rules.
fn route(page: &Page, rules: &UrlRules, mistake: Option<Mistake>) -> (String, Query) {
    let errs = |mistake_here| mistake == Some(mistake_here);
    let (mut path, mut query) = (page.path.to_owned(), page.query.to_vec());
    if let Some((route, route_query)) = page.route
        && rules.hash_routing
        && !errs(Mistake::PartAfterTheHashIsIgnored)
    {
        path = route.to_owned();
        if !errs(Mistake::ParametersBeforeTheHashStay) {
            query = route_query.to_vec();
        }
    }
    if path.is_empty() {
        return (path, query);
    }
    if rules.lower_case && !errs(Mistake::CapitalsStay) {
        // Escapes stay as they were sent; these are all there are in this world.
        path = path.to_lowercase();
        if !errs(Mistake::EscapesAreMadeLowerCase) {
            path = path.replace("%c3%89", "%C3%89");
        }
    }
    let is_file = path.rsplit('/').next().unwrap().contains('.') && !errs(Mistake::FilesGetASlash);
    match rules.trailing_slash {
        _ if errs(Mistake::SlashesStay) => {}
        TrailingSlash::Strip if path != "/" => path = path.trim_end_matches('/').to_owned(),
        TrailingSlash::Add if !path.ends_with('/') && !is_file => path.push('/'),
        _ => {}
    }
    (path, query)
}

fn kept(query: &[(&str, &str)], rules: &UrlRules, mistake: Option<Mistake>) -> Vec<String> {
    let written = |(name, value): &(&str, &str)| format!("{name}={value}");
    let names = |list: &[String], name: &str| list.iter().any(|listed| listed == name);
    if mistake == Some(Mistake::ParametersAreLeftOut) {
        return Vec::new();
    }
    if rules.keep_parameters == ["*"] {
        let stay = mistake == Some(Mistake::StrippedParametersStay);
        let all = query.iter().filter(|(name, _)| stay || !names(&rules.strip_parameters, name));
        return all.map(written).collect();
    }
    if mistake == Some(Mistake::ParametersComeInTheOrderOfTheAddress) {
        return query.iter().filter(|(name, _)| names(&rules.keep_parameters, name)).map(written).collect();
    }
    let of = |kept: &String| query.iter().filter(|(name, _)| name == kept).map(written).collect::<Vec<_>>();
    rules.keep_parameters.iter().flat_map(of).collect()
}

/// By all ways to write a path that are there in this world.
fn fits(pattern: &str, path: &str, lower_case: bool) -> bool {
    let path = if path == "/" { path } else { path.trim_end_matches('/') };
    let parts = path.matches('/').count();
    match pattern {
        "/a/*" => path.starts_with("/a/") && parts == 2,
        "/a/**" => path == "/a" || path.starts_with("/a/"),
        "/A/*" => path.starts_with(if lower_case { "/a/" } else { "/A/" }) && parts == 2,
        pattern => path == pattern,
    }
}
