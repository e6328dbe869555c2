//! What the machine does without us.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use penstock_test_support::clock;
use rustix::fs::{FallocateFlags, fallocate};

const PIECE_BYTES: usize = 1 << 20;
/// How long a bare peer may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two connected sockets.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let one = TcpStream::connect_timeout(&listener.local_addr()?, PATIENCE)?;
    let (other, _) = listener.accept()?;
    for socket in [&one, &other] {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
    }
    Ok((one, other))
}

/// Reads a file, sends 1 MiB and waits for one byte, checks the CRC, writes, and syncs once at the
/// end: the least that anyone has to do. Returns how long it took.
pub(crate) fn file(source: &Path, target: &Path) -> io::Result<Duration> {
    let (mut inner, outer) = pair()?;
    let target = File::create(target)?;
    let receiver = thread::spawn(move || receive(outer, target));
    let mut source = File::open(source)?;
    let start = clock::now();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = read_full(&mut source, &mut piece)?;
        let bytes = piece.get(..count).unwrap_or_default();
        let mut head = u32::try_from(count).unwrap_or(0).to_be_bytes().to_vec();
        head.extend(crc32fast::hash(bytes).to_be_bytes());
        inner.write_all(&head)?;
        inner.write_all(bytes)?;
        inner.read_exact(&mut [0])?;
        if count == 0 {
            break;
        }
    }
    let took = clock::now() - start;
    receiver.join().map_err(|_| io::Error::other("the bare receiver panicked"))??;
    Ok(took)
}

fn receive(mut socket: TcpStream, mut target: File) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let (mut length, mut crc) = ([0; 4], [0; 4]);
        socket.read_exact(&mut length)?;
        socket.read_exact(&mut crc)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(0);
        let bytes = piece.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
        socket.read_exact(bytes)?;
        if crc32fast::hash(bytes) != u32::from_be_bytes(crc) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        target.write_all(bytes)?;
        if length == 0 {
            target.sync_data()?;
        }
        socket.write_all(&[0])?;
        if length == 0 {
            return Ok(());
        }
    }
}

fn read_full(source: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// The mean time of one append of `bytes` to a preallocated file, with its sync.
pub(crate) fn synced_append(directory: &Path, bytes: usize, times: u32) -> io::Result<Duration> {
    let mut file = File::create(directory.join("append"))?;
    let length = u64::try_from(bytes).unwrap_or(0) * u64::from(times);
    fallocate(&file, FallocateFlags::empty(), 0, length)?;
    file.sync_all()?;
    let buffer = vec![0x5a; bytes];
    let start = clock::now();
    for _ in 0..times {
        file.write_all(&buffer)?;
        file.sync_data()?;
    }
    Ok((clock::now() - start) / times)
}

/// The mean time of a frame of `bytes` over loopback and one byte back.
pub(crate) fn round_trip(bytes: usize, times: u32) -> io::Result<Duration> {
    let (mut inner, mut outer) = pair()?;
    let echo = thread::spawn(move || -> io::Result<()> {
        let mut frame = vec![0; bytes];
        for _ in 0..times {
            outer.read_exact(&mut frame)?;
            outer.write_all(&[0])?;
        }
        Ok(())
    });
    let frame = vec![0x5a; bytes];
    let start = clock::now();
    for _ in 0..times {
        inner.write_all(&frame)?;
        inner.read_exact(&mut [0])?;
    }
    let took = (clock::now() - start) / times;
    echo.join().map_err(|_| io::Error::other("the bare echo panicked"))??;
    Ok(took)
}

/// The way of a frame to somebody who syncs it, twice, one after the other.
pub(crate) struct Way {
    file: File,
    inner: TcpStream,
    outer: TcpStream,
    bytes: usize,
}

impl Way {
    /// One whose file lies there, for frames of so many bytes.
    pub(crate) fn new(directory: &Path, bytes: usize) -> io::Result<Self> {
        let file = File::create(directory.join("way"))?;
        fallocate(&file, FallocateFlags::empty(), 0, 1 << 26)?;
        file.sync_all()?;
        let (inner, outer) = pair()?;
        let answering = outer.try_clone()?;
        thread::spawn(move || answer(answering, bytes));
        Ok(Self { file, inner, outer, bytes })
    }

    /// How long two syncs of an append and two round trips take.
    pub(crate) fn measure(&mut self) -> io::Result<Duration> {
        let frame = vec![0x5a; self.bytes];
        let start = clock::now();
        for _ in 0..2 {
            self.inner.write_all(&frame)?;
            self.inner.read_exact(&mut [0])?;
            self.file.write_all(&frame)?;
            self.file.sync_data()?;
        }
        Ok(clock::now() - start)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        // Ends whoever answers.
        let _gone = self.outer.shutdown(std::net::Shutdown::Both).is_err();
    }
}

fn answer(mut socket: TcpStream, bytes: usize) -> io::Result<()> {
    let mut frame = vec![0; bytes];
    loop {
        socket.read_exact(&mut frame)?;
        socket.write_all(&[0])?;
    }
}
