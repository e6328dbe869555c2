//! Lays a released program out as `src/program.ld` says; the build script of both programs.

use std::env;
use std::path::Path;

fn main() {
    let is = |key: &str, value: &str| env::var(key).is_ok_and(|found| found == value);
    let packages = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let script = Path::new(&packages).join("../src/program.ld");
    println!("cargo:rerun-if-changed={}", script.display());
    // Other systems' linkers have no such scripts; and who debugs wants to unwind.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo:rustc-link-arg-bins=-T{}", script.display());
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
