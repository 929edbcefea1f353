//! Listeners of all accept threads on one port.
//!
//! `SO_REUSEPORT` lets the kernel spread connections over the listeners (socket(7)). It would also let a second edge of the same
//! user take the same port unnoticed, so the port is first taken alone: who finds it in use is told so.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpSocket;

/// Connections that wait in the kernel until they are accepted, per listener.
const BACKLOG: u32 = 1024;

/// `count` listeners on `address`; port 0 picks one port for all. They do not block. Call inside a runtime.
///
/// # Errors
/// When the address is in use or not of this machine.
pub(crate) fn listeners(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let alone = TcpListener::bind(address)?;
    if count <= 1 {
        alone.set_nonblocking(true)?;
        return Ok(vec![alone]);
    }
    let address = alone.local_addr()?;
    drop(alone);
    (0..count).map(|_| shared(address)).collect()
}

fn shared(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_listeners_have_one_port_that_nobody_else_gets() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let all = listeners(any, 3).unwrap();
        let address = all[0].local_addr().unwrap();
        assert!(all.len() == 3 && all.iter().all(|listener| listener.local_addr().unwrap() == address));
        assert_eq!(listeners(address, 3).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(listeners(address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
