//! A port that stays while what is behind it moves, and whose connections a test can end by a reset.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::SOON;

/// Relays until the test ends.
#[derive(Debug)]
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    /// The near ends of all connections so far.
    open: Vec<TcpStream>,
}

impl Relay {
    /// Relays to this address.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared { target, open: Vec::new() }));
        let kept = Arc::clone(&shared);
        thread::spawn(move || {
            listener.incoming().map_while(Result::ok).for_each(|near| connect(near, &kept));
        });
        Self { address, shared }
    }

    /// Relays to another address from the next connection on.
    pub fn point_at(&self, target: SocketAddr) {
        self.shared.lock().unwrap().target = target;
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.lock().unwrap().open.len()
    }

    /// Ends all connections in the middle of whatever they do.
    pub fn cut(&self) {
        for near in &self.shared.lock().unwrap().open {
            // One that has ended is what is wanted.
            drop(near.shutdown(Shutdown::Both));
        }
    }
}

/// Joins a connection to one of its own; where nobody listens, the near end finds it out.
fn connect(near: TcpStream, shared: &Mutex<Shared>) {
    let mut shared = shared.lock().unwrap();
    let Ok(far) = TcpStream::connect_timeout(&shared.target, SOON) else { return };
    shared.open.push(near.try_clone().unwrap());
    let (back_from, back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    thread::spawn(move || pass(near, far));
    thread::spawn(move || pass(back_from, back_to));
}

/// Passes bytes on until one end is gone, and takes the other one along.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(bytes.get(..count).unwrap_or_default()).is_err() {
            break;
        }
    }
    for end in [from, to] {
        drop(end.shutdown(Shutdown::Both));
    }
}
