//! Hashes and trees of files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The blake3 of a file, as hexadecimal text.
///
/// # Errors
/// When the file cannot be read.
pub fn blake3(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// All files below a directory, sorted; none if it is not there. As with a shell's `*`, names that
/// begin with a dot are not seen: they are not finished.
///
/// # Errors
/// When a directory cannot be read.
pub fn below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_listed_and_files_are_hashed() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("b")).unwrap();
        fs::write(directory.path().join("b/x"), b"").unwrap();
        fs::write(directory.path().join("a"), b"abc").unwrap();
        fs::write(directory.path().join(".hidden"), b"").unwrap();
        let names = below(directory.path()).unwrap();
        assert_eq!(names, [directory.path().join("a"), directory.path().join("b/x")]);
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(blake3(&names[1]).unwrap(), empty);
        assert!(below(&directory.path().join("not")).unwrap().is_empty());
    }
}
