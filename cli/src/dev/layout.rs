//! What lies where in the data directory, and which ports the services use.
//!
//! Invariant: a service that is restarted listens where it listened before. So every port is chosen here, before any
//! service starts, and below the kernel's ephemeral range, where no outgoing connection takes it meanwhile.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use identity::development::ensure_development;
use identity::{Identity, Role, TlsFiles};

use crate::services::{ADMIN_KEY_FILE, KEYS_DIR};

/// Ports that are picked: below 32,768, where Linux begins to hand out ports for outgoing connections.
const PICKED_PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Ports in a row that one process tries first, so that two started together do not race for the same.
const PORTS_PER_PROCESS: u16 = 40;

/// Services of one kind that can run side by side.
pub const OF_A_KIND: u8 = 3;

/// Paths in the data directory.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The data directory, absolute.
    pub root: PathBuf,
    /// Locked as long as this process runs: a second one would write its own ports into the configuration files.
    _lock: Arc<File>,
    /// Certificates of this machine's edges, as many as there may be.
    pub edge_tls: Vec<TlsFiles>,
    /// The hubs'.
    pub hub_tls: Vec<TlsFiles>,
    /// The loaders'.
    pub loader_tls: Vec<TlsFiles>,
    /// The apis'.
    pub api_tls: Vec<TlsFiles>,
}

impl Layout {
    /// Makes the directories and certificates that are missing.
    ///
    /// # Errors
    /// When the data directory cannot be written.
    pub fn prepare(data: &Path, now_ms: u64) -> anyhow::Result<Self> {
        durable::create_dir_all(data).with_context(|| {
            format!("cannot make the data directory {}; choose another with --data", data.display())
        })?;
        let root = data.canonicalize().with_context(|| format!("cannot find {}", data.display()))?;
        let lock = Self::lock(&root)?;
        for folder in ["config", "edge", "store", "warehouse"] {
            durable::create_dir_all(&root.join(folder))
                .with_context(|| format!("cannot make {}", root.join(folder).display()))?;
        }
        let of = |role: Role| {
            (1..=OF_A_KIND)
                .map(|n| Identity::new(role, format!("{}-{n}", role.as_str())))
                .collect::<Result<Vec<_>, _>>()
        };
        let tls = |role| -> anyhow::Result<Vec<TlsFiles>> {
            Ok(ensure_development(&root.join("certs"), &of(role)?, now_ms)?)
        };
        Ok(Self {
            edge_tls: tls(Role::Edge)?,
            hub_tls: tls(Role::Hub)?,
            loader_tls: tls(Role::Loader)?,
            api_tls: tls(Role::Api)?,
            _lock: Arc::new(lock),
            root: root.clone(),
        })
    }

    fn lock(root: &Path) -> anyhow::Result<File> {
        let path = root.join("dev.lock");
        let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!(
                "another `meridian dev` runs on {}; stop it, or choose another directory with --data",
                root.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// A folder or file in the data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The admin key's file.
    pub fn admin_key_file(&self) -> PathBuf {
        self.root.join(ADMIN_KEY_FILE)
    }

    /// Where the plain keys of created properties are kept.
    pub fn keys_dir(&self) -> PathBuf {
        self.root.join(KEYS_DIR)
    }

    /// The configuration file of a service.
    pub fn config_file(&self, service: &str) -> PathBuf {
        self.root.join("config").join(format!("{service}.toml"))
    }
}

/// Hands out addresses.
#[derive(Debug)]
pub struct Ports {
    next: u16,
}

impl Ports {
    /// Starts at a place that other processes do not start at.
    pub fn new() -> Self {
        let blocks = u32::from((PICKED_PORTS.end - PICKED_PORTS.start) / PORTS_PER_PROCESS);
        let block = u16::try_from(std::process::id() % blocks).unwrap_or(0);
        Self { next: PICKED_PORTS.start + block * PORTS_PER_PROCESS }
    }

    /// `wanted` itself, or with a free port in place of port 0.
    ///
    /// # Errors
    /// When no port is free.
    pub fn address(&mut self, wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
        if wanted.port() != 0 {
            return Ok(wanted);
        }
        for _ in PICKED_PORTS {
            let address = SocketAddr::new(wanted.ip(), self.next);
            self.next = if self.next + 1 == PICKED_PORTS.end { PICKED_PORTS.start } else { self.next + 1 };
            if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
                return Ok(address);
            }
        }
        Err(anyhow!("no port from {} to {} is free", PICKED_PORTS.start, PICKED_PORTS.end))
    }

    /// A free address on loopback.
    ///
    /// # Errors
    /// When no port is free.
    pub fn loopback(&mut self) -> anyhow::Result<SocketAddr> {
        self.address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self::new()
    }
}
