//! Scripts of other products, which are theirs and not served here: where a page may have one from, and how it then sends its hits here.
//!
//! In: a path that nothing is served at. Out: for the paths that pages of these products load, the way out, as one sentence for the
//! answer. `docs/clients.md` has the same for people.

const MATOMO: &str = "Matomo's script is not served here; load it from your Matomo or from a copy on your own site, and let it send \
                      here with _paq.push(['setTrackerUrl', 'https://HOST/matomo.php'])";
const CONTAINER: &str = "containers of Matomo's Tag Manager are not served here; load yours from your Matomo or from a copy on your own \
                         site, and in its Matomo Configuration variable set the Matomo URL to https://HOST, the tracking endpoint to \
                         matomo.php, and leave the tracker bundled";
const UMAMI: &str = "Umami's script is not served here; load it from your Umami or from a copy on your own site, and let it send here \
                     with data-host-url=\"https://HOST\" in its tag";
const SCRIPT: &str = "neither Umami's nor Plausible's script is served here; load it from where you had it or from a copy on your own \
                      site, and let it send here: Umami's with data-host-url=\"https://HOST\" in its tag, Plausible's with \
                      data-api=\"https://HOST/api/event\"";
const PLAUSIBLE: &str = "Plausible's script is not served here; load it from your Plausible or from a copy on your own site, and let it \
                         send here with data-api=\"https://HOST/api/event\" in its tag, or plausible.init({endpoint: \
                         'https://HOST/api/event'})";
const GTAG: &str = "Google's script is not served here; load it from https://www.googletagmanager.com, and let it send here with \
                    server_container_url: 'https://HOST' in gtag('config', …) or in the settings of the Google tag";
const UNIVERSAL: &str = "Google's script is not served here; load it from https://www.google-analytics.com or from a copy on your own \
                         site, and let it send here with ga('set', 'transportUrl', 'https://HOST/collect')";
const SEGMENT: &str = "Segment's script is not served here; build @segment/analytics-next into your site with its cdnURL set to \
                       https://HOST";
const SNOWPLOW: &str = "Snowplow's script is not served here; load it from a copy on your own site, and let it send here with \
                        snowplow('newTracker', 'sp', 'https://HOST', …)";

/// What to do, for the path of another product's script; `HOST` stands in it for the host that was asked. `None`: it is no such path.
pub fn way_out(path: &str) -> Option<&'static str> {
    Some(match path {
        "/matomo.js" | "/piwik.js" | "/js/" | "/js/index.php" | "/js/tracker.php" => MATOMO,
        "/script.js" => SCRIPT,
        "/umami.js" => UMAMI,
        "/gtag/js" | "/gtag.js" | "/gtm.js" => GTAG,
        "/analytics.js" => UNIVERSAL,
        "/sp.js" => SNOWPLOW,
        path if is_script(path, "/js/container_") => CONTAINER,
        path if ["/js/script.", "/js/plausible.", "/js/pa-"].iter().any(|start| is_script(path, start)) => {
            PLAUSIBLE
        }
        path if is_script(path, "/analytics.js/v1/") => SEGMENT,
        _ => return None,
    })
}

fn is_script(path: &str, start: &str) -> bool {
    path.starts_with(start) && path.ends_with(".js")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_other_products_scripts_have_a_way_out_and_others_none() {
        for (path, way) in [
            ("/matomo.js", "setTrackerUrl"),
            ("/piwik.js", "setTrackerUrl"),
            ("/js/", "setTrackerUrl"),
            ("/js/container_aBcD1234.js", "Matomo URL"),
            ("/js/container_aBcD1234_dev_0123456789abcdef.js", "Matomo URL"),
            ("/script.js", "data-host-url"),
            ("/script.js", "data-api"),
            ("/umami.js", "data-host-url"),
            ("/js/script.js", "data-api"),
            ("/js/script.outbound-links.js", "data-api"),
            ("/js/plausible.js", "data-api"),
            ("/js/pa-AbC123.js", "endpoint"),
            ("/gtag/js", "server_container_url"),
            ("/analytics.js", "transportUrl"),
            ("/analytics.js/v1/WRITEKEY/analytics.min.js", "cdnURL"),
            ("/sp.js", "newTracker"),
        ] {
            let found = way_out(path).unwrap_or_default();
            assert!(found.contains(way) && found.contains("https://HOST"), "{path}: {found}");
        }
        for path in ["/", "/t.js", "/js/app.js", "/js/container_x.css", "/matomo.php", "/script.jsx"] {
            assert_eq!(way_out(path), None, "{path}");
        }
    }
}
