//! A far side that answers what a test wants.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The two handshakes.
pub const HANDSHAKES: [u16; 2] = [50, 51];
/// The end of a file.
pub const SEAL: u16 = 5;
/// What frames have before their payload: its length and that of its checksum twice, and the checksum.
const HEADER_BYTES: usize = 16;
/// Of these, the checksum counts in the length.
const CHECKSUM_BYTES: usize = 8;

/// Listens until the test ends.
#[derive(Debug)]
pub struct FarSide {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
}

impl FarSide {
    /// Answers each request by its type; no answer means that none ever comes.
    pub fn answering(answer: fn(u16) -> Option<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (open, most_open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, most) = (Arc::clone(&connections), Arc::clone(&most_open));
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::Relaxed);
                most.fetch_max(open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                let open = Arc::clone(&open);
                thread::spawn(move || attend(connection, answer, &open));
            }
        });
        Self { address, connections, most_open }
    }

    /// The most connections that were open at the same time.
    pub fn most_open(&self) -> usize {
        self.most_open.load(Ordering::Relaxed)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn attend(connection: TcpStream, answer: fn(u16) -> Option<u8>, open: &AtomicUsize) {
    // However it ends, the node finds it out.
    drop(serve(connection, answer));
    open.fetch_sub(1, Ordering::Relaxed);
}

fn serve(mut connection: TcpStream, answer: fn(u16) -> Option<u8>) -> std::io::Result<()> {
    loop {
        let mut header = [0; HEADER_BYTES];
        connection.read_exact(&mut header)?;
        let length = header.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)).unwrap();
        let mut payload = vec![0; usize::try_from(length).unwrap() - CHECKSUM_BYTES];
        connection.read_exact(&mut payload)?;
        let kind = payload.get(1..3).and_then(<[u8]>::first_chunk).unwrap();
        if let Some(byte) = answer(u16::from_be_bytes(*kind)) {
            connection.write_all(&[byte])?;
        }
    }
}
