//! Gives back what of the program's own code is not used any more.
//!
//! ```text
//!  start: command line, configuration, recovery    release()         steady state
//!  [xxxxxxxxxxxxxx.xxxx.xxxxxxxx]  ------------->  [............] -> [..xxxx.....xx..]    x: a page that is mapped
//! ```
//!
//! The kernel maps 16 pages of a file around each one that is touched, and takes none away while there is memory.
//! So code that ran once stays resident as long as the process lives: of 3 MiB nearly all. Here it is unmapped,
//! and what still runs is mapped again at its next instruction, from the kernel's cache of the file.

use std::ffi::{c_int, c_void};
use std::{ptr, slice};

/// Unmaps the pages of code and constants of the program and its libraries. They are mapped again when they are
/// touched, as if the kernel had wanted their memory; what was written since the start is not among them. What the
/// kernel does not want to unmap, as pages that are locked into memory, stays.
#[expect(unsafe_code, reason = "only the loader knows where the program lies")]
pub fn release() {
    // SAFETY: the callback keeps to the form that the loader asks for, and is given no pointer of ours.
    unsafe { libc::dl_iterate_phdr(Some(release_object), ptr::null_mut()) };
}

/// Unmaps what can be of one object that is loaded.
#[expect(unsafe_code, reason = "the loader's list is behind pointers")]
unsafe extern "C" fn release_object(
    object: *mut libc::dl_phdr_info,
    _bytes: libc::size_t,
    _none: *mut c_void,
) -> c_int {
    // SAFETY: the loader gives a valid object, and an array of as many headers as it says, for this call.
    let (base, headers) = unsafe {
        let object = &*object;
        (object.dlpi_addr, slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
    };
    for header in headers {
        let is_written = header.p_flags & libc::PF_W != 0;
        let start = usize::try_from(base.saturating_add(header.p_vaddr));
        let bytes = usize::try_from(header.p_memsz);
        if header.p_type == libc::PT_LOAD
            && !is_written
            && let (Ok(start), Ok(bytes)) = (start, bytes)
        {
            unmap(start, start.saturating_add(bytes));
        }
    }
    0
}

/// Unmaps the pages that lie wholly between these addresses.
#[expect(unsafe_code, reason = "addresses are numbers here")]
fn unmap(start: usize, end: usize) {
    let page = rustix::param::page_size();
    let start = start.next_multiple_of(page);
    let bytes = (end - end % page).saturating_sub(start);
    // SAFETY: these pages belong to a segment that nobody writes, so each is what its file has, and comes back from there
    // at the next access.
    unsafe { libc::madvise(ptr::with_exposed_provenance_mut(start), bytes, libc::MADV_DONTNEED) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of files that are mapped into this process.
    fn mapped_pages() -> u64 {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(2).unwrap().parse().unwrap()
    }

    #[test]
    fn code_is_unmapped_and_still_runs() {
        let mut spared = Vec::new();
        for _ in 0..10 {
            let before = mapped_pages();
            release();
            spared.push(before.saturating_sub(mapped_pages()));
        }
        assert!(spared.iter().any(|pages| *pages > 100), "{spared:?}");
    }
}
