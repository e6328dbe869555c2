//! The landing directory lies on a file system of its own, which is not always mounted.

use super::*;

/// A directory on another file system than temporary ones and the root; `None` if this machine has none.
fn apart() -> Option<tempfile::TempDir> {
    let disk = RealDisk::new(&std::env::temp_dir());
    let dir = tempfile::tempdir_in("/dev/shm").ok()?;
    let device = |path: &Path| disk.device(path).ok().flatten();
    let beside = [device(Path::new(".")), device(Path::new("/"))];
    (!beside.contains(&device(dir.path()))).then_some(dir)
}

/// A data directory, and a landing directory that is a link: to where it is mounted, or to what is there without it.
struct Plant {
    root: tempfile::TempDir,
    medium: tempfile::TempDir,
}

impl Plant {
    fn new() -> Option<Self> {
        let plant = Self { root: tempfile::tempdir().ok()?, medium: apart()? };
        std::fs::create_dir(plant.below()).ok()?;
        Some(plant)
    }

    /// The mount point.
    fn below(&self) -> PathBuf {
        self.root.path().join("below")
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("land")
    }

    fn mount(&self, at: &Path) {
        let _none = std::fs::remove_file(self.dir());
        std::os::unix::fs::symlink(at, self.dir()).expect("a link");
    }

    fn open(&self) -> Result<Landing<RealDisk, Entries>, LandingError> {
        let settings = Settings { dir: self.dir(), ..settings(Limits::default()) };
        let cursor = Cursor { position: Sequence(3), ..Cursor::default() };
        Landing::open(RealDisk::new(self.root.path()), settings, Entries::sample(), cursor)
    }
}

/// What landed there.
fn names(at: &Path) -> Vec<String> {
    let dated = std::fs::read_dir(at.join("2026-11-22")).into_iter().flatten();
    let names = dated.map(|file| file.expect("a file").file_name());
    let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort();
    names
}

/// Lands the sample; the mount is away after so many steps, and back after the node was found waiting, and was
/// restarted if told so. Returns whether it had come to rest before.
fn lands_around(plant: &Plant, after: usize, restarts: bool) -> bool {
    plant.mount(plant.medium.path());
    let mut landing = plant.open().expect("opens");
    for step in 0..1000 {
        if step == after {
            plant.mount(&plant.below());
        }
        match landing.step(start(), NOON) {
            Ok(Step::Idle) if step >= after => break,
            Ok(Step::Idle) => return true,
            Ok(_) => continue,
            Err(LandingError::Removed { .. }) => {}
            // What was open by its path.
            Err(LandingError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                continue;
            }
            Err(error) => panic!("after {after} steps: {error}"),
        }
        assert!(matches!(landing.reopen(), Err(LandingError::Away { .. })), "after {after} steps");
        if restarts {
            drop(landing);
            assert!(matches!(plant.open(), Err(LandingError::Away { .. })), "after {after} steps");
            plant.mount(plant.medium.path());
            landing = plant.open().expect("opens");
        } else {
            plant.mount(plant.medium.path());
            landing.reopen().expect("opens anew");
        }
        while !matches!(landing.step(start(), NOON).expect("lands"), Step::Idle) {}
        break;
    }
    false
}

#[test]
fn nothing_lands_below_a_mount_point_and_all_of_it_where_the_mount_is() {
    for restarts in [false, true] {
        for after in 0.. {
            let Some(plant) = Plant::new() else { return };
            if lands_around(&plant, after, restarts) {
                assert!(after > 10, "{after}");
                break;
            }
            let below = std::fs::read_dir(plant.below()).expect("it is there");
            assert_eq!(below.count(), 0, "after {after} steps");
            let there = names(plant.medium.path());
            let all = ["3-3-a.tsfile", "5-5-b.tsfile", "5-5-b.tsfile.mods"];
            assert_eq!(there, all, "after {after} steps, restarts {restarts}");
            let ledger = std::fs::read_to_string(plant.medium.path().join("landing.jsonl"));
            assert_eq!(ledger.expect("a ledger").lines().count(), 2, "after {after} steps");
        }
    }
}

#[test]
fn another_place_is_taken_once_a_person_or_another_mount_says_so() {
    let (Some(plant), Some(other)) = (Plant::new(), apart()) else { return };
    plant.mount(plant.medium.path());
    drop(plant.open().expect("opens"));
    plant.mount(other.path());
    drop(plant.open().expect("another file system is mounted"));
    plant.mount(&plant.below());
    assert!(matches!(plant.open(), Err(LandingError::Away { .. })));
    std::fs::remove_file(plant.root.path().join(place::MEMORY)).expect("the remedy");
    drop(plant.open().expect("it is the place now"));
    std::fs::remove_file(plant.below().join(".penstock.lock")).expect("removed");
    drop(plant.open().expect("it lies beside the data directory: no mount is missing"));
}
