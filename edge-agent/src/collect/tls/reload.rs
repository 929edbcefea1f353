//! Follows the files of `collect.tls`: who renews a certificate writes the files, and restarts nothing.
//!
//! In: what lies under the two paths, every two seconds. Out: the certificate that new connections are shown. Certificate and key
//! are replaced one after the other, so what has changed is tried once it has stood still from one look to the next. Invariant:
//! what cannot be used changes nothing; it is said once, and counted once.

use std::sync::Arc;
use std::time::Duration;

use service::SharedClock;
use tokio_util::sync::CancellationToken;

use super::{Certificate, Config, Pair, Shown, TlsError};
use crate::metrics::TlsMetrics;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files' content, or why they could not be read.
type Found<T = Pair> = Result<T, String>;

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
    pub(crate) async fn watch(
        mut self,
        clock: SharedClock,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut interval = tokio::time::interval(LOOK_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = interval.tick() => {}
            }
            let now_s = clock.now_ms() / 1000;
            self = tokio::task::spawn_blocking(move || {
                self.look(now_s);
                self
            })
            .await?;
        }
    }

    /// Looks once, at this unix time in seconds. Blocks on the disk.
    pub(super) fn look(&mut self, now_s: u64) {
        let found = Pair::read(&self.files).map_err(reason);
        let stood_still = found == self.seen;
        self.seen = found;
        if !stood_still || self.seen == self.tried {
            return;
        }
        self.tried = self.seen.clone();
        let certificate = match &self.tried {
            Ok(pair) => {
                pair.certificate(&self.files).map_err(reason).and_then(|found| self.in_time(found, now_s))
            }
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

impl Reload {
    /// A certificate that has expired is no renewal: whoever put it there took the wrong file.
    fn in_time(&self, certificate: Certificate, now_s: u64) -> Found<Certificate> {
        if certificate.expires_at_s > i64::try_from(now_s).unwrap_or(i64::MAX) {
            return Ok(certificate);
        }
        let Config { cert, .. } = &self.files;
        Err(format!("collect.tls.cert = {cert:?} has expired; put the renewed certificate there"))
    }
}

/// The error with what caused it.
fn reason(error: TlsError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}
