//! Ports that stay a test's own while nobody listens there.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

/// A port of the system's choice at 127.0.0.1.
///
/// A socket is bound to it that never listens. A program that sets `SO_REUSEADDR` (Rust's and
/// tokio's listeners do) can listen there, and end, and listen again; in between connections are
/// refused, and the system gives the port to nobody else, neither to a listener that lets it choose
/// nor to a connection that needs one at its near end.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _bound: OwnedFd,
}

impl Port {
    /// Takes a port.
    ///
    /// # Errors
    /// When the system has none to give.
    pub fn take() -> io::Result<Self> {
        let bound = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        sockopt::set_socket_reuseaddr(&bound, true)?;
        bind(&bound, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddr::try_from(getsockname(&bound)?)?;
        Ok(Self { address, _bound: bound })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    fn connect(port: &Port) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(&port.address(), Duration::from_secs(5))
    }

    #[test]
    fn one_may_listen_there_again_and_again_and_nobody_gets_it_by_chance() {
        let port = Port::take().unwrap();
        for _ in 0..3 {
            assert!(connect(&port).is_err(), "nobody listens");
            let listener = TcpListener::bind(port.address()).unwrap();
            let near = connect(&port).unwrap();
            drop((listener.accept().unwrap(), listener, near));
        }
        let others: Vec<_> = (0..20).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap() != port.address()));
    }
}
