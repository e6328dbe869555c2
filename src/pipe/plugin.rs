//! Plug-ins that people have created: what is run for them, kept by hash so that nothing else ever is: it is looked at
//! before each start.
//!
//! ```text
//!  plugins/kept/
//!    CSV.plugin                    penstock-plugin 1 5e1c0f3a    version; CRC32 of all that follows this line
//!                                  name csv                      as it was written
//!                                  hash 64 hexadecimal digits    BLAKE3 of the program
//!                                  csv.py /srv/out               what is run: a name for people, and arguments
//!    CSV-0123456789abcdef..        the program; 32 digits of its hash
//!    new, new-program              what is being written: never read
//! ```

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::RecordError;
use super::sealed::{seal, unseal};
use crate::limits::{
    KIB, PLUGIN_BYTES_MAX, PLUGIN_COMMAND_BYTES_MAX, PLUGIN_NAME_BYTES_MAX, PLUGINS_MAX,
};
use crate::spool::{Disk, DiskFile, OpenMode, escape, read_full_at, write_all_at};
use crate::statement::{CreatePlugin, PluginName};

/// A plug-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Its name.
    pub name: PluginName,
    /// What is run: the first word is a name for people, the others are arguments.
    pub command: String,
    /// BLAKE3 of the program.
    hash: blake3::Hash,
}

/// The directory of the plug-ins.
#[derive(Debug, Clone)]
pub struct PluginStore<D: Disk> {
    disk: D,
}

/// Why a plug-in is not kept, or cannot be run.
#[derive(Debug, Error)]
pub enum PluginFault {
    /// There are as many as there may be.
    #[error("a node has no more than {PLUGINS_MAX} plug-ins")]
    TooMany,
    /// Its name is too long.
    #[error("a plug-in's name has 1 to {PLUGIN_NAME_BYTES_MAX} bytes")]
    Name,
    /// Its command is too long, or has more than one line.
    #[error("a plug-in's command has 1 to {PLUGIN_COMMAND_BYTES_MAX} bytes, in one line")]
    Command,
    /// Its program is too long.
    #[error("the program has more than {} MiB", PLUGIN_BYTES_MAX / KIB / KIB)]
    TooLarge,
    /// The program is not what it was at `CREATE`.
    #[error("the program {} is not what was kept: {REMEDY}", path.display())]
    Changed {
        /// Which one.
        path: PathBuf,
    },
    /// The program is not there any more.
    #[error("the program {} is gone: {REMEDY}", path.display())]
    Gone {
        /// Which one.
        path: PathBuf,
    },
    /// What was kept about it is no record any more.
    #[error("{}: {source}", path.display())]
    Record {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        source: RecordError,
    },
    /// The disk does not let it.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// What a directory of plug-ins holds.
#[derive(Debug, Default)]
pub struct Kept {
    /// The plug-ins, by name.
    pub plugins: Vec<Plugin>,
    /// Of each record that cannot be read, or is none any more: where, and why.
    pub damaged: Vec<PluginFault>,
}

/// What a person can do about a program that cannot be run any more; its pipes keep their progress.
const REMEDY: &str =
    "put it back, or create it under another name and alter the sink; then START PIPE";

impl PluginFault {
    /// Whether it cannot end by itself: the program is gone, or another one.
    pub const fn is_lasting(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::Gone { .. })
    }

    /// The same for whoever starts it: `InvalidData` if what is there is not what was kept.
    pub fn into_io(self) -> io::Error {
        let kind = if let Self::Disk { source, .. } = &self {
            source.kind()
        } else {
            io::ErrorKind::InvalidData
        };
        io::Error::new(kind, self)
    }
}

impl Plugin {
    /// What `SHOW PIPEPLUGINS` shows as its file.
    pub fn file_name(&self) -> String {
        let digits = self.hash.to_hex();
        format!("{}-{}", escape(self.name.as_str()), digits.get(..SHOWN_DIGITS).unwrap_or_default())
    }

    /// Where its program lies, below the data directory.
    pub fn path(&self) -> PathBuf {
        Path::new(DIR).join(self.file_name())
    }

    /// The arguments of its program.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.command.split_whitespace().skip(1)
    }

    fn encode(&self) -> String {
        let Self { name, command, hash } = self;
        let rest = format!("name {}\nhash {}\n{command}\n", name.spelled(), hash.to_hex());
        seal(MAGIC, &rest)
    }

    fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut lines = unseal(MAGIC, bytes)?.lines();
        let mut word = |word: &'static str| {
            lines.next().and_then(|line| line.strip_prefix(word)).ok_or(RecordError::Line(word))
        };
        let name = PluginName::new(word("name ")?);
        let hash = blake3::Hash::from_hex(word("hash ")?).map_err(|_| RecordError::Line("hash"))?;
        let command = word("")?.to_owned();
        Ok(Self { name, command, hash })
    }
}

impl<D: Disk> PluginStore<D> {
    /// A directory that is not looked at.
    pub const fn new(disk: D) -> Self {
        Self { disk }
    }

    /// All plug-ins. One whose record cannot be had takes no other one away.
    ///
    /// # Errors
    /// If the disk does not let the directory be listed.
    pub fn read(&self) -> Result<Kept, PluginFault> {
        let (dir, mut files) = (Path::new(DIR), Vec::new());
        let listed = self.disk.list(dir, &mut |file| {
            if file.ends_with(SUFFIX) && files.len() < PLUGINS_MAX {
                files.push(file.to_owned());
            }
        });
        match listed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
            listed => listed.map_err(at(dir))?,
        }
        let mut kept = Kept::default();
        for file in files {
            let path = dir.join(file);
            match self.read_record(&path) {
                Ok(plugin) => kept.plugins.push(plugin),
                Err(fault) => kept.damaged.push(fault),
            }
        }
        kept.plugins.sort_by(|left, right| left.name.as_str().cmp(right.name.as_str()));
        Ok(kept)
    }

    fn read_record(&self, path: &Path) -> Result<Plugin, PluginFault> {
        let mut bytes = vec![0; RECORD_BYTES_MAX];
        let opened = self.disk.open(path, OpenMode::Read);
        let read = opened.and_then(|file| read_full_at(&file, 0, &mut bytes));
        bytes.truncate(read.map_err(at(path))?);
        let damaged = |source| PluginFault::Record { path: path.to_owned(), source };
        Plugin::decode(&bytes).map_err(damaged)
    }

    /// Removes what a `CREATE` that did not come to its end has left. What a record names that cannot be read stays.
    ///
    /// # Errors
    /// What the disk says; the rest is tried again at the next start.
    pub fn sweep(&self, kept: &Kept) -> Result<(), PluginFault> {
        if !kept.damaged.is_empty() {
            return Ok(());
        }
        let (dir, mut left) = (Path::new(DIR), Vec::new());
        let listed = self.disk.list(dir, &mut |file| {
            let is_kept = file.ends_with(SUFFIX)
                || kept.plugins.iter().any(|plugin| plugin.file_name() == file);
            if !is_kept && left.len() < PLUGINS_MAX {
                left.push(file.to_owned());
            }
        });
        match listed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed.map_err(at(dir))?,
        }
        for file in left {
            let path = dir.join(file);
            self.disk.remove(&path).map_err(at(&path))?;
        }
        Ok(())
    }

    /// Keeps a copy of the program at `source` as a plug-in; durable on return. It reads and writes up to
    /// [`PLUGIN_BYTES_MAX`].
    ///
    /// # Errors
    /// [`PluginFault`]; there is no such plug-in then.
    pub fn keep(&self, create: &CreatePlugin, source: &Path) -> Result<Plugin, PluginFault> {
        if !(1..=PLUGIN_NAME_BYTES_MAX).contains(&create.name.as_str().len())
            || create.name.spelled().contains(char::is_control)
        {
            return Err(PluginFault::Name);
        }
        let command = create.command.trim();
        if !(1..=PLUGIN_COMMAND_BYTES_MAX).contains(&command.len())
            || command.contains(char::is_control)
        {
            return Err(PluginFault::Command);
        }
        let dir = Path::new(DIR);
        self.disk.create_dir(dir).map_err(at(dir))?;
        let copy = dir.join(NEW_PROGRAM);
        let kept = self.copy(source, &copy).and_then(|hash| {
            let plugin = Plugin { name: create.name.clone(), command: command.to_owned(), hash };
            // What there is of it must not come back at a start.
            self.record(&plugin, &copy).inspect_err(|_| drop(self.forget(&plugin)))?;
            Ok(plugin)
        });
        kept.inspect_err(|_| {
            for path in [&copy, &dir.join(NEW)] {
                // What stays is removed at the next start.
                let _stays = self.disk.remove(path).is_err();
            }
        })
    }

    /// Makes the copy at `copy` a plug-in.
    fn record(&self, plugin: &Plugin, copy: &Path) -> Result<(), PluginFault> {
        let dir = Path::new(DIR);
        let record = dir.join(NEW);
        let written = self.disk.open(&record, OpenMode::Create).and_then(|file| {
            write_all_at(&file, 0, &mut [IoSlice::new(plugin.encode().as_bytes())])?;
            file.sync_data()
        });
        written.map_err(at(&record))?;
        self.disk.rename(copy, &plugin.path()).map_err(at(copy))?;
        self.disk.sync_dir(dir).map_err(at(dir))?;
        self.disk.rename(&record, &record_path(plugin)).map_err(at(&record))?;
        self.disk.sync_dir(dir).map_err(at(dir))
    }

    /// Removes a plug-in; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub fn forget(&self, plugin: &Plugin) -> Result<(), PluginFault> {
        for path in [record_path(plugin), plugin.path()] {
            match self.disk.remove(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(at(&path))?,
            }
        }
        self.disk.sync_dir(Path::new(DIR)).map_err(at(Path::new(DIR)))
    }

    /// Checks that the program is what was kept.
    ///
    /// # Errors
    /// [`PluginFault::Changed`] if it is not, [`PluginFault::Gone`] if there is none; [`PluginFault::Disk`] if it cannot
    /// be read.
    pub fn verify(&self, plugin: &Plugin) -> Result<(), PluginFault> {
        let path = plugin.path();
        let mut hasher = blake3::Hasher::new();
        let read = self.read_all(&path, |_, bytes| {
            hasher.update(bytes);
            Ok(())
        });
        match read {
            Err(PluginFault::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(PluginFault::Gone { path });
            }
            read => read?,
        }
        if hasher.finalize() == plugin.hash { Ok(()) } else { Err(PluginFault::Changed { path }) }
    }

    fn copy(&self, source: &Path, copy: &Path) -> Result<blake3::Hash, PluginFault> {
        let file = self.disk.open(copy, OpenMode::CreateProgram).map_err(at(copy))?;
        let mut hasher = blake3::Hasher::new();
        self.read_all(source, |offset, bytes| {
            hasher.update(bytes);
            write_all_at(&file, offset, &mut [IoSlice::new(bytes)]).map_err(at(copy))
        })?;
        file.sync_data().map_err(at(copy))?;
        Ok(hasher.finalize())
    }

    fn read_all(
        &self,
        path: &Path,
        mut take: impl FnMut(u64, &[u8]) -> Result<(), PluginFault>,
    ) -> Result<(), PluginFault> {
        let file = self.disk.open(path, OpenMode::Read).map_err(at(path))?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut offset = 0;
        loop {
            let count = read_full_at(&file, offset, &mut buffer).map_err(at(path))?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            take(offset, bytes)?;
            offset += u64::try_from(count).unwrap_or_default();
            if offset > u64::try_from(PLUGIN_BYTES_MAX).unwrap_or_default() {
                return Err(PluginFault::TooLarge);
            }
        }
    }
}

fn record_path(plugin: &Plugin) -> PathBuf {
    Path::new(DIR).join(escape(plugin.name.as_str()) + SUFFIX)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PluginFault {
    let path = path.to_owned();
    move |source| PluginFault::Disk { path, source }
}

const DIR: &str = "plugins/kept";
const SUFFIX: &str = ".plugin";
const NEW: &str = "new";
const NEW_PROGRAM: &str = "new-program";
const MAGIC: &str = "penstock-plugin 1 ";
const SHOWN_DIGITS: usize = 32;
const CHUNK_BYTES: usize = 256 * KIB;
/// Name, hash, command, and the words around them.
const RECORD_BYTES_MAX: usize = PLUGIN_COMMAND_BYTES_MAX + PLUGIN_NAME_BYTES_MAX + 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Fault, SimDisk};

    fn create(name: &str) -> CreatePlugin {
        CreatePlugin {
            name: PluginName::new(name),
            if_not_exists: false,
            command: "csv.py /srv/out x".to_owned(),
            uri: "file:csv.py".to_owned(),
        }
    }

    fn bench(seed: u64) -> (SimDisk, PluginStore<SimDisk>) {
        let disk = SimDisk::new(seed, 1 << 30);
        disk.place(Path::new("csv.py"), b"#!/bin/sh\n");
        (disk.clone(), PluginStore::new(disk))
    }

    #[test]
    fn what_was_kept_is_there_after_a_crash_and_is_run_only_as_it_was() {
        let (disk, store) = bench(1);
        assert_eq!(store.read().unwrap().plugins, []);
        let kept = store.keep(&create("csv"), Path::new("csv.py")).unwrap();
        let other = store.keep(&create("a/b"), Path::new("csv.py")).unwrap();
        disk.crash();
        assert_eq!(store.read().unwrap().plugins, [other.clone(), kept.clone()]);
        assert_eq!(kept.arguments().collect::<Vec<_>>(), ["/srv/out", "x"]);
        assert!(kept.file_name().starts_with("CSV-") && kept.file_name().len() == 36);
        store.verify(&kept).unwrap();
        disk.flip(&kept.path(), 3);
        assert!(matches!(store.verify(&kept), Err(PluginFault::Changed { .. })));
        store.forget(&kept).unwrap();
        disk.crash();
        assert_eq!(store.read().unwrap().plugins, [other]);
    }

    #[test]
    fn a_failure_of_any_call_and_a_crash_leave_a_whole_plugin_or_none() {
        for call in 0.. {
            let (disk, store) = bench(call);
            disk.schedule(call, Fault::Io, false);
            let kept = store.keep(&create("csv"), Path::new("csv.py"));
            disk.heal();
            disk.crash();
            let found = store.read().unwrap();
            for plugin in &found.plugins {
                store.verify(plugin).unwrap();
            }
            store.sweep(&found).unwrap();
            let files = disk.files().into_iter().filter(|(path, _)| path.starts_with(DIR)).count();
            assert_eq!(files, 2 * found.plugins.len(), "{call}");
            assert!(kept.is_ok() || found.plugins.is_empty(), "{call}");
            if kept.is_ok() {
                assert_eq!(found.plugins.len(), 1, "{call}");
                break;
            }
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let (disk, store) = bench(1);
        let keep = |create: &CreatePlugin| store.keep(create, Path::new("csv.py")).unwrap_err();
        assert!(matches!(keep(&create(&"x".repeat(65))), PluginFault::Name));
        let long = CreatePlugin { command: "x\ny".to_owned(), ..create("x") };
        assert!(matches!(keep(&long), PluginFault::Command));
        disk.place(Path::new("csv.py"), &vec![0; PLUGIN_BYTES_MAX + 1]);
        assert!(matches!(keep(&create("x")), PluginFault::TooLarge));
        let gone = store.keep(&create("x"), Path::new("gone")).unwrap_err();
        assert_eq!(gone.to_string(), "gone: entity not found");
        assert_eq!(store.read().unwrap().plugins, []);
        assert_eq!(disk.files().len(), 1, "nothing is left of them");
    }

    #[test]
    fn a_record_that_cannot_be_read_takes_no_other_one_away() {
        let (disk, store) = bench(1);
        let first = store.keep(&create("a"), Path::new("csv.py")).unwrap();
        let second = store.keep(&create("b"), Path::new("csv.py")).unwrap();
        disk.flip(&record_path(&first), 40);
        let found = store.read().unwrap();
        assert_eq!(found.plugins, std::slice::from_ref(&second));
        let path = record_path(&first);
        assert!(
            matches!(&found.damaged[..], [PluginFault::Record { path: at, .. }] if *at == path)
        );
        store.sweep(&found).unwrap();
        store.verify(&first).unwrap();
        // Created again, it is there.
        store.keep(&create("a"), Path::new("csv.py")).unwrap();
        assert_eq!(store.read().unwrap().plugins, [first, second]);
    }
}
