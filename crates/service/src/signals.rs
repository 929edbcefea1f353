//! SIGTERM and SIGINT: the first begins the shutdown, the second ends the process at once with code 130.
//!
//! Ending at once is safe by design: whatever was answered with success is on disk already.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal.
pub const EXIT_CODE_SECOND_SIGNAL: i32 = 130;

/// Installs the handlers, then watches in a task of its own. Call once per process, inside the runtime.
pub fn cancel_on_signal(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for count in 1_u32.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if count > 1 {
                std::process::exit(EXIT_CODE_SECOND_SIGNAL);
            }
            tracing::info!("signal received, draining; a second signal ends the process at once");
            shutdown.cancel();
        }
    });
    Ok(())
}
