//! nginx and Caddy with the lines of `docs/proxying.md` in front of the edge: the site's own host serves the script and takes the hits.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::system::command::Property;
use crate::system::{Options, System, new_directory, project};

const NGINX: &str = "/usr/sbin/nginx";
const CADDY: &str = "/usr/bin/caddy";
const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";

/// What stands in the page for the edge.
const EDGE: &str = "https://edge.example.com";

/// Addresses of clients, and what each claims to be by `X-Forwarded-For`: two visitors, three if a claim were believed, one if none
/// were told from another.
const CLIENTS: [(Ipv4Addr, &str); 3] = [
    (Ipv4Addr::new(127, 0, 0, 2), "198.51.100.1"),
    (Ipv4Addr::new(127, 0, 0, 2), "198.51.100.2"),
    (Ipv4Addr::new(127, 0, 0, 3), "198.51.100.3"),
];

/// The blocks of this language in the page, for an edge at this address.
fn blocks(language: &str, collect: &str) -> String {
    let page = std::fs::read_to_string(project("docs/proxying.md")).unwrap();
    let fence = format!("```{language}\n");
    let lines: String = page.split(&fence).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(lines.contains(EDGE), "docs/proxying.md has no block of {language}");
    lines.replace(EDGE, collect)
}

struct Proxy {
    child: Child,
    port: u16,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Proxy {
    fn start(port: u16, command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; run `scripts/setup.sh test`"));
        Self { child, port }
    }

    /// nginx in one process that ends with the test.
    fn nginx(folder: &Path, collect: &str) -> Self {
        let port = free_port();
        let lines = blocks("nginx", collect).replace("/srv", &folder.display().to_string());
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
        Self::start(port, &mut command)
    }

    fn caddy(folder: &Path, collect: &str) -> Self {
        let port = free_port();
        let lines = blocks("caddy", collect);
        let configuration = format!(
            "{{\nadmin off\nauto_https off\nstorage file_system {0}\nlog {{\noutput file {0}/caddy.log\n}}\n}}\n\
             http://:{port} {{\nbind 127.0.0.1\n{lines}}}\n",
            folder.display()
        );
        let file = folder.join("Caddyfile");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(CADDY);
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, folder);
        }
        Self::start(port, &mut command)
    }

    /// A file, once the proxy answers at all.
    fn file(&mut self, system: &System, path: &str) -> (u16, String) {
        loop {
            match system.get(&format!("http://127.0.0.1:{}{path}", self.port)) {
                Ok(answer) => {
                    return (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap());
                }
                Err(_not_yet) => std::thread::sleep(Duration::from_millis(50)),
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the proxy ended: {ended:?}; its words are above");
        }
    }

    /// Posts from an address of this machine; gives the status line.
    fn post(&self, system: &System, (client, claimed): (Ipv4Addr, &str), path: &str, body: &str) -> String {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: {HUMAN}\r\nX-Forwarded-For: {claimed}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = system.runtime().block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((client, 0).into())?;
            let mut stream = socket.connect((Ipv4Addr::LOCALHOST, self.port).into()).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            std::io::Result::Ok(answer)
        });
        String::from_utf8_lossy(&answer.unwrap()).lines().next().unwrap_or_default().to_owned()
    }
}

/// A port that was free a moment ago: the proxies cannot pick one themselves.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The script comes through, and hits do with their clients' addresses.
fn check(system: &System, property: &Property, proxy: &mut Proxy) {
    let built = std::fs::read_to_string(project("tracker/dist/t.js")).unwrap();
    let expected = built.replace("{/*meridian-settings*/}", "{}");
    assert_eq!(proxy.file(system, "/stats/s.js"), (200, expected));
    let hit =
        json!({"measurement_id": property.measurement_id, "hits": [{"url": "https://shop.example.com/"}]});
    for client in CLIENTS {
        let status = proxy.post(system, client, "/stats/h", &hit.to_string());
        assert_eq!(status, "HTTP/1.1 204 No Content", "{client:?}");
    }
    assert_eq!(page_views_and_visitors(system, property), (3, 2));
}

fn page_views_and_visitors(system: &System, property: &Property) -> (u64, u64) {
    system.settle();
    let report = system.report(property, "--from yesterday --to today --metrics page_views,visitors");
    let total = |name: &str| report["totals"][name].as_u64().unwrap();
    (total("page_views"), total("visitors"))
}

#[test]
fn hits_come_through_the_sites_own_nginx_and_matomos_too() {
    let system = System::start(&Options::default());
    let property = system.create_property(&["--name", "Shop"]);
    let folder = new_directory();
    std::fs::create_dir(folder.path().join("scripts")).unwrap();
    std::fs::write(folder.path().join("scripts/matomo.js"), "/* a copy */").unwrap();
    let mut proxy = Proxy::nginx(folder.path(), system.address("collect"));
    check(&system, &property, &mut proxy);

    assert_eq!(proxy.file(&system, "/matomo.js"), (200, "/* a copy */".to_owned()));
    let alias = ["alias", "add", "--protocol", "matomo", "--id", "7", "--hostname", "shop.example.com"];
    system.json(&[&alias[..], &["--property", &property.property_id, "--format", "json"]].concat());
    for client in CLIENTS {
        let view = "idsite=7&rec=1&url=https%3A%2F%2Fshop.example.com%2F";
        let status = proxy.post(&system, client, "/matomo.php", view);
        assert_eq!(status, "HTTP/1.1 200 OK", "{client:?}");
    }
    assert_eq!(page_views_and_visitors(&system, &property), (6, 2));
}

#[test]
fn hits_come_through_the_sites_own_caddy() {
    let system = System::start(&Options::default());
    let property = system.create_property(&["--name", "Shop"]);
    let folder = new_directory();
    let mut proxy = Proxy::caddy(folder.path(), system.address("collect"));
    check(&system, &property, &mut proxy);
}
