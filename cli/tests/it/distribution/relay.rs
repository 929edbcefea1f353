//! A TCP relay that can be cut: what is connected is dropped then, and whoever comes is turned away.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// A relay to one port; ends with the runtime.
pub(crate) struct Relay {
    /// `https://` of its own port.
    pub(crate) url: String,
    is_cut: watch::Sender<bool>,
}

impl Relay {
    pub(crate) fn start(runtime: &Runtime, to_url: &str) -> Self {
        let to = to_url.trim_start_matches("https://").to_owned();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (is_cut, cut) = watch::channel(false);
        runtime.spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let (to, mut cut) = (to.clone(), cut.clone());
                tokio::spawn(async move {
                    let relayed = async {
                        let mut to = TcpStream::connect(to).await?;
                        copy_bidirectional(&mut from, &mut to).await
                    };
                    tokio::select! {
                        _over = relayed => {}
                        _cut = cut.wait_for(|is_cut| *is_cut) => {}
                    }
                });
            }
        });
        Self { url, is_cut }
    }

    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub(crate) fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}
