//! What a process has had in memory, told from what the kernel happened to map of its program.

/// Resident pages of a program's file and its libraries that count towards its peak, in bytes, at
/// most: about what the two programs and their C library run through.
///
/// How much of a file is mapped is the kernel's choice, and not the program's: on a fault it maps
/// what lies around and is in the page cache, more of it with large folios. The same run had
/// between 3.7 and 4.8 MiB of it on different machines, beside the same 3.4 MiB of its own.
const CODE_BYTES_MAX: u64 = 4 << 20;

/// The peak of a process, in bytes: `VmHWM` of its `/proc/<pid>/status`, of which pages of files
/// count no more than 4 MiB. `None` if this is no such text, as that of a process that has ended.
///
/// The kernel keeps no peak for pages of files alone, so those that are resident now stand for
/// those at the time of the peak.
pub fn peak(status: &str) -> Option<u64> {
    let resident = number(status, "VmHWM:")?;
    let of_files = number(status, "RssFile:")?;
    Some(resident - of_files.saturating_sub(CODE_BYTES_MAX).min(resident))
}

/// What a process has allocated and holds now, in bytes: resident pages that no file has. `None` as
/// for [`peak`].
pub fn anonymous(status: &str) -> Option<u64> {
    number(status, "RssAnon:")
}

/// A line's number of kibibytes, in bytes.
fn number(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A status with so many KiB at the peak, and in pages of files.
    fn status(peak: u64, of_files: u64) -> String {
        format!(
            "Name:\tpenstock\nVmHWM:\t{peak:8} kB\nRssAnon:\t    3400 kB\nRssFile:\t{of_files:8} kB\n"
        )
    }

    #[test]
    fn only_code_above_4_mib_is_taken_off() {
        assert_eq!(peak(&status(7504, 4080)), Some(7504 << 10));
        assert_eq!(peak(&status(8308, 4096 + 700)), Some((8308 - 700) << 10));
        assert_eq!(peak(&status(12_000, 4000)), Some(12_000 << 10));
        assert_eq!(anonymous(&status(7504, 4080)), Some(3400 << 10));
    }

    #[test]
    fn a_process_that_has_ended_has_no_peak() {
        assert_eq!(peak("Name:\tpenstock\nState:\tZ (zombie)\n"), None);
        assert_eq!(anonymous(""), None);
    }

    #[test]
    fn what_is_allocated_counts_in_full() {
        const BYTES: usize = 16 << 20;
        let own = || std::fs::read_to_string("/proc/self/status").unwrap();
        let before = anonymous(&own()).unwrap();
        let block = vec![1_u8; BYTES];
        let status = own();
        assert!(anonymous(&status).unwrap() >= before + BYTES as u64 / 2, "{before}: {status}");
        assert!(peak(&status).unwrap() >= BYTES as u64, "{status}");
        drop(block);
    }
}
