//! nginx with the lines of `docs/proxying.md` in front of the edge: the site's own host serves the script and takes the hits.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::json;

use crate::system::{Options, System, new_directory, project};

const NGINX: &str = "/usr/sbin/nginx";
const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";

/// The first block of this language in the page.
fn block(language: &str) -> String {
    let page = std::fs::read_to_string(project("docs/proxying.md")).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// nginx on this port, in one process that ends with the test.
fn start(folder: &Path, port: u16, collect: &str) -> Nginx {
    let lines = block("nginx").replace("https://edge.example.com", collect);
    let configuration = format!(
        "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/f; \
         uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
         server {{ listen 127.0.0.1:{port};\n{lines}\n}} }}\n",
        folder.display()
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new(NGINX);
    command.arg("-p").arg(folder).arg("-c").arg(&file).arg("-e").arg(folder.join("error.log"));
    let child = command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| {
        panic!("{NGINX}: {error}; run `scripts/setup.sh test`");
    });
    Nginx(child)
}

#[test]
fn hits_come_through_the_sites_own_proxy() {
    let system = System::start(&Options::default());
    let property = system.create_property(&["--name", "Shop"]);
    let folder = new_directory();
    // nginx cannot pick a free port: it gets one that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _nginx = start(folder.path(), port, system.address("collect"));
    let site = format!("http://127.0.0.1:{port}");
    let script = loop {
        match system.get(&format!("{site}/stats/s.js")) {
            Ok(answer) => break answer,
            Err(_not_yet) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let built = std::fs::read_to_string(project("tracker/dist/t.js")).unwrap();
    let expected = built.replace("{/*meridian-settings*/}", "{}");
    assert_eq!((script.status.as_u16(), &*String::from_utf8_lossy(&script.body)), (200, expected.as_str()));

    let hit =
        json!({"measurement_id": property.measurement_id, "hits": [{"url": "https://shop.example.com/"}]});
    let hits = format!("{site}/stats/h");
    // Two visitors by their user agents, one of whom lies about its address; the proxy does not hand the lie on.
    for (agent, address) in
        [(HUMAN, "198.51.100.1"), (HUMAN, "203.0.113.7"), ("Mozilla/5.0 (Macintosh) Firefox/1", "")]
    {
        let headers = [("user-agent", agent), ("x-forwarded-for", address)];
        let sent = system.client().send(Method::POST, &hits, &headers, Bytes::from(hit.to_string()));
        let answer = system.runtime().block_on(sent).unwrap();
        assert_eq!(answer.status.as_u16(), 204, "{}", String::from_utf8_lossy(&answer.body));
    }
    system.settle();
    let totals =
        system.report(&property, "--from yesterday --to today --metrics page_views,visitors")["totals"]
            .clone();
    assert_eq!((&totals["page_views"], &totals["visitors"]), (&3.into(), &2.into()), "{totals}");
}
