//! The files that are sent, and how they come out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use penstock_test_support::files::{below, blake3};
use penstock_test_support::programs::root;
use penstock_test_support::tsfile::TsFileShape;

/// A file that is to cross.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Its name.
    pub(crate) name: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its hash, when it was put into the inbox.
    pub(crate) blake3: String,
    /// Whether it was seen in the landing directory.
    pub(crate) landed: bool,
    /// Where it waits.
    path: PathBuf,
}

/// A file that was landed.
#[derive(Debug, Clone)]
pub(crate) struct Landed {
    /// Its size.
    pub(crate) bytes: u64,
    /// Its hash.
    pub(crate) blake3: String,
}

const MIB: u64 = 1 << 20;

/// What a file holds.
#[derive(Debug, Clone, Copy)]
enum Content {
    /// Twenty devices of all types, aligned and not, a few rows each.
    Devices,
    /// About so many bytes.
    Bytes(u64),
    /// What Apache's own library wrote, kept in `tests/samples` under this name.
    Sample(&'static str),
}

/// Names and contents, in the order of their way.
const FILES: [(&str, Content); 9] = [
    ("boiler.tsfile", Content::Devices),
    ("turbine.tsfile", Content::Bytes(3 * MIB)),
    ("archive-1.tsfile", Content::Bytes(48 * MIB)),
    ("feeder.tsfile", Content::Sample("v3_deg7.tsfile")),
    ("pumps.tsfile", Content::Devices),
    ("archive-2.tsfile", Content::Bytes(40 * MIB)),
    ("busbar.tsfile", Content::Sample("py_types.tsfile")),
    ("valves.tsfile", Content::Bytes(9 * MIB)),
    ("transformer.tsfile", Content::Bytes(MIB)),
];

impl Content {
    /// Writes the file and gives its size in bytes.
    fn write(self, path: &Path, seed: u64) -> io::Result<u64> {
        let shape = match self {
            Self::Devices => {
                TsFileShape { devices: 12, aligned_devices: 8, ..TsFileShape::small(seed) }
            }
            Self::Bytes(bytes) => TsFileShape::of_size(bytes, seed),
            Self::Sample(name) => return fs::copy(root().join("tests/samples").join(name), path),
        };
        Ok(shape.write(path)?.bytes)
    }
}

impl Sent {
    /// Writes all files to a directory.
    pub(crate) fn write_all(directory: &Path) -> io::Result<Vec<Self>> {
        fs::create_dir_all(directory)?;
        FILES
            .iter()
            .zip(1..)
            .map(|((name, content), seed)| {
                let path = directory.join(name);
                let bytes = content.write(&path, seed)?;
                let blake3 = blake3(&path)?;
                Ok(Self { name: (*name).into(), bytes, blake3, landed: false, path })
            })
            .collect()
    }

    /// Puts the file into the inbox, as a plant's scripts should: by rename, so that it is whole from
    /// the first moment.
    #[expect(clippy::disallowed_methods, reason = "plays the plant's script, and not the program")]
    pub(crate) fn put_into(&self, inbox: &Path) -> io::Result<()> {
        fs::rename(&self.path, inbox.join(&self.name))
    }

    /// What came of it: one file if all is well.
    pub(crate) fn landed(&self, landing: &Path) -> io::Result<Vec<Landed>> {
        let paths = below(landing)?;
        let own = paths.iter().filter(|path| self.is_at(path));
        own.map(|path| Ok(Landed { bytes: fs::metadata(path)?.len(), blake3: blake3(path)? }))
            .collect()
    }

    /// Whether it is one of these, under the name that it was landed with.
    pub(crate) fn is_among(&self, paths: &[PathBuf]) -> bool {
        paths.iter().any(|path| self.is_at(path))
    }

    fn is_at(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == self.name || name.ends_with(&format!("-{}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_the_end_of_another() {
        for (name, _) in FILES {
            let like = FILES.iter().filter(|(other, _)| other.ends_with(&format!("-{name}")));
            assert_eq!(like.count(), 0, "{name}");
        }
    }
}
