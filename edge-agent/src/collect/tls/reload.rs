//! Follows the files of `collect.tls`: who renews a certificate writes the files, and restarts nothing.
//!
//! In: what lies under the two paths, every two seconds. Out: the certificate that new connections are shown. Certificate and key
//! are replaced one after the other, so what has changed is tried once it has stood still from one look to the next. Invariant:
//! what cannot be used changes nothing; it is said once, and counted once.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Config, Pair, Shown, TlsError};
use crate::metrics::TlsMetrics;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files' content, or why they could not be read.
type Found = Result<Pair, String>;

/// Keeps the certificate up to date.
pub(crate) struct Reload {
    files: Config,
    shown: Arc<Shown>,
    metrics: TlsMetrics,
    /// At the last look.
    seen: Found,
    /// What was last tried; it may have been refused.
    tried: Found,
}

impl Reload {
    pub(super) fn new(files: Config, in_use: Pair, shown: Arc<Shown>, metrics: TlsMetrics) -> Self {
        Self { files, shown, metrics, seen: Ok(in_use.clone()), tried: Ok(in_use) }
    }

    /// Looks at the files until `shutdown`.
    pub(crate) async fn watch(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut interval = tokio::time::interval(LOOK_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = interval.tick() => {}
            }
            self = tokio::task::spawn_blocking(move || {
                self.look();
                self
            })
            .await?;
        }
    }

    /// Looks once. Blocks on the disk.
    pub(super) fn look(&mut self) {
        let found = Pair::read(&self.files).map_err(reason);
        let stood_still = found == self.seen;
        self.seen = found;
        if !stood_still || self.seen == self.tried {
            return;
        }
        self.tried = self.seen.clone();
        let certificate = match &self.tried {
            Ok(pair) => pair.certificate(&self.files).map_err(reason),
            Err(reason) => Err(reason.clone()),
        };
        match certificate {
            Ok(certificate) => {
                self.shown.replace(certificate.key);
                self.metrics.expires_at_s.set(certificate.expires_at_s);
                tracing::info!(cert = %self.files.cert.display(), expires_at_s = certificate.expires_at_s,
                    "new connections get the certificate that now lies there");
            }
            Err(error) => {
                self.metrics.reload_failures.inc();
                tracing::warn!(%error, "the certificate in use stays");
            }
        }
    }
}

/// The error with what caused it.
fn reason(error: TlsError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}
