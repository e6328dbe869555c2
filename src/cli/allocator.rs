//! The settings of glibc's allocator that keep a process small. With musl there is nothing to set.
//!
//! ```text
//!  default:  an arena for each thread, each with its own holes    here: one
//!            blocks are mapped above 128 KiB, but once one is     blocks above 128 KiB are always mapped,
//!            freed, blocks up to its size come from the heap      and go back to the system when freed
//! ```
//!
//! What the threads allocate in their steady state is little, so one arena is no bottleneck.

/// Sets them; to be called before the first thread starts.
pub(super) fn be_frugal() {
    #[cfg(target_env = "gnu")]
    set(&[(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, MAPPED_BYTES)]);
}

/// Size in bytes from which on a block is mapped on its own.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES: libc::c_int = 128 * 1024;

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "a call of the C library that takes only numbers")]
fn set(pairs: &[(libc::c_int, libc::c_int)]) {
    for (parameter, value) in pairs {
        // SAFETY: no pointers, and no other thread runs yet. A refusal leaves the default.
        unsafe { libc::mallopt(*parameter, *value) };
    }
}
