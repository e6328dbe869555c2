//! Writes a `TsFile` to look at with other tools: `cargo run --example tsfile -- PATH [BYTES|hole]`.

use std::io;
use std::path::Path;

use penstock_test_support::tsfile::TsFileShape;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = || io::Error::other("usage: tsfile PATH [BYTES|hole]");
    let path = arguments.next().ok_or_else(usage)?;
    let shape = match arguments.next() {
        Some(bytes) if bytes == "hole" => TsFileShape::sparse(100_000_000, 1),
        Some(bytes) => TsFileShape::of_size(bytes.parse().map_err(|_| usage())?, 1),
        None => TsFileShape::small(1),
    };
    shape.write(Path::new(&path)).map(drop)
}
