//! What happens to one file of the inbox, part by part.

use std::time::Instant;

use super::away::PutAway;
use super::job::{Hashing, Job, Part, Stage};
use super::journal::{Original, Taking};
use super::{Inbox, Step, Stop, Store, StoreError, TakenFile, away, disk, journal};
use crate::data::ReadAt;
use crate::spool::{Disk, PartialError, PartialId};
use crate::tsfile::TsFileError;
use crate::tsfile::tail::Check;
use crate::wire::piece::check_file_name;

/// Bytes around name and flaw in a reason.
const REASON_BYTES: usize = 16;

/// What is known of a file's ends. It may change meanwhile, and is opened anew for each step; that its bytes are those
/// that were looked at is seen when they are hashed.
enum Checked {
    Sound,
    Flawed(String),
    /// There is more to be looked at.
    Part(Box<Check>),
}

impl<D: Disk, S: Store> Inbox<D, S>
where
    S::File: Send + 'static,
{
    /// Carries a job on by one part; returns a step when it is done with.
    pub(super) fn advance(&mut self, job: &mut Job, now: Instant) -> Result<Option<Step>, Stop> {
        match &mut job.stage {
            Stage::Check(_) => self.check(job, now),
            Stage::Hash(_) => self.hash(job).map(|()| None),
            Stage::Copy(_) => self.copy(job).map(|()| None),
            Stage::Enter => self.enter(job),
            Stage::PutAway(_) => self.put_away(job),
        }
    }

    /// Judges name, companions and tail. What is not complete may still be written to; it goes to
    /// quarantine when it has been the same for long enough.
    fn check(&mut self, job: &mut Job, now: Instant) -> Result<Option<Step>, Stop> {
        let flaw = match self.flaw(job)? {
            Checked::Sound => {
                job.stage = Stage::Hash(None);
                return Ok(None);
            }
            Checked::Part(check) => {
                job.stage = Stage::Check(Some(check));
                return Ok(None);
            }
            Checked::Flawed(flaw) => flaw,
        };
        let quiet = self.watch.file(&job.name).map(|file| file.quiet(now));
        let left = quiet.and_then(|quiet| self.settings.flawed_after.checked_sub(quiet));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            let job = std::mem::replace(job, Job::new(String::new(), Vec::new(), false));
            self.give_up(job, now + left);
            return Ok(Some(Step::Worked));
        }
        job.flaw = Some(flaw);
        job.stage = Stage::Enter;
        Ok(None)
    }

    fn flaw(&mut self, job: &mut Job) -> Result<Checked, Stop> {
        let Some(file) = job.parts.last() else { return Err(Stop::Again) };
        if let Some(error) = job.parts.iter().find_map(|part| check_file_name(&part.name).err()) {
            return Ok(Checked::Flawed(error.to_string()));
        }
        if job.parts.len() > 2 {
            return Ok(Checked::Flawed("has both .mods and .mods2".to_owned()));
        }
        let begun = if let Stage::Check(begun) = &mut job.stage { begun.take() } else { None };
        let outcome = if let Some(partial) = file.partial {
            look(&self.store.open(partial)?, begun)
        } else {
            let opened = file.open_original(&self.disk);
            look(&opened.map_err(Stop::of_original("open", &*file.name))?, begun)
        };
        match outcome {
            Ok(checked) => Ok(checked),
            Err(TsFileError::Read { source, .. }) => {
                Err(Stop::of_original("read", &*file.name)(source))
            }
            Err(flaw) => Ok(Checked::Flawed(flaw.to_string())),
        }
    }

    fn hash(&mut self, job: &mut Job) -> Result<(), Stop> {
        let by_copy = job.by_copy;
        let Stage::Hash(hashing) = &mut job.stage else { return Ok(()) };
        let mut hashing = hashing.take();
        let Some(part) = job.unhashed() else {
            job.stage = if by_copy { Stage::Copy(None) } else { Stage::Enter };
            return Ok(());
        };
        let mut current = match (hashing.take(), part.partial) {
            (Some(hashing), _) => hashing,
            (None, Some(partial)) => Hashing::new(self.store.open(partial)?),
            (None, None) => {
                let opened = part.open_original(&self.disk);
                Hashing::new(opened.map_err(Stop::of_original("open", &*part.name))?)
            }
        };
        let done = current.step().map_err(Stop::of_original("read", &*part.name))?;
        part.check_original(&self.disk).map_err(Stop::of_original("look at", &*part.name))?;
        part.hash = done;
        job.stage = Stage::Hash(done.is_none().then_some(current));
        Ok(())
    }

    fn copy(&mut self, job: &mut Job) -> Result<(), Stop> {
        let bytes = job.bytes();
        let Stage::Copy(copying) = &mut job.stage else { return Ok(()) };
        let mut copying = copying.take();
        let staging = self.settings.staging_dir.clone();
        let Some(part) = job.uncopied() else {
            job.stage = Stage::Enter;
            return Ok(());
        };
        let mut current = if let Some(copying) = copying.take() {
            copying
        } else {
            self.store.room_for(bytes)?;
            // Somebody may have removed it.
            self.disk.create_dir(&staging).map_err(disk("make", &staging))?;
            let copying = part.copying(staging.join(&part.name));
            copying.map_err(Stop::of_original("open", &*part.name))?
        };
        let stepped = current.step(&self.disk);
        let is_done = stepped.map_err(Stop::of_original("copy", &*part.name))?;
        part.check_original(&self.disk).map_err(Stop::of_original("look at", &*part.name))?;
        if is_done {
            part.staged = Some(current.path().to_owned());
        }
        job.stage = Stage::Copy((!is_done).then_some(current));
        Ok(())
    }

    /// Puts the file into the spool.
    fn enter(&mut self, job: &mut Job) -> Result<Option<Step>, Stop> {
        if let Some(why) = job.flaw.clone() {
            return self.refuse(job, why).map(Some);
        }
        if !job.has_entered() {
            self.store.room_for(job.bytes())?;
        }
        if job.by_copy && !job.has_entered() {
            let taking = Taking { from: self.store.next_sequence()?.0, ..taking(job) };
            journal::write(&self.disk, &taking).map_err(disk("note", &*job.name))?;
        }
        if !self.adopt(job)? {
            (job.by_copy, job.stage) = (true, Stage::Copy(None));
            return Ok(None);
        }
        let sequence = self.store.seal(&taken(job))?;
        job.stage = Stage::PutAway(PutAway::new(sequence, false));
        Ok(None)
    }

    /// Moves every part into the spool; `false` if they have to be copied first.
    fn adopt(&mut self, job: &mut Job) -> Result<bool, Stop> {
        for part in job.parts.iter_mut().filter(|part| part.partial.is_none()) {
            let original = part.original.as_ref().map(|(path, _)| path);
            let Some(path) = part.staged.as_ref().or(original) else { return Err(Stop::Again) };
            match self.store.adopt(path) {
                Ok(partial) => part.partial = Some(partial),
                Err(StoreError::Partial(PartialError::OtherFileSystem(_)))
                    if part.staged.is_none() =>
                {
                    return Ok(false);
                }
                Err(error) => return Err(Stop::of_adopted(error)),
            }
        }
        Ok(true)
    }

    /// Puts the file into quarantine.
    fn refuse(&mut self, job: &mut Job, why: String) -> Result<Step, Stop> {
        if !job.has_entered() {
            self.check_quarantine(job, &why)?;
        }
        // One by one: a second try begins with those that are left.
        while let Some(part) = job.parts.first_mut() {
            let partial = match part.partial {
                Some(partial) => partial,
                None => self.adopt_refused(part)?,
            };
            part.partial = Some(partial);
            self.store
                .quarantine(partial, &format!("inbox: {}: {why}", part.name.escape_debug()))?;
            self.watch.forget(&part.name);
            job.parts.remove(0);
        }
        Ok(Step::Quarantined { name: job.name.clone(), why })
    }

    /// Before anything of a flawed file is moved: whether all of it has room in quarantine.
    fn check_quarantine(&mut self, job: &Job, why: &str) -> Result<(), Stop> {
        let reason = |part: &Part| (part.name.len() + why.len() + REASON_BYTES) as u64;
        let needed = job.parts.iter().map(|part| part.bytes + reason(part)).sum();
        let fits = self.store.quarantine_room(needed);
        if let Err(StoreError::Full(full)) = fits {
            Err(Stop::NoQuarantine(full))
        } else {
            Ok(fits?)
        }
    }

    /// Moves it into the spool: under its own name if that is possible.
    fn adopt_refused(&mut self, part: &mut Part) -> Result<PartialId, Stop> {
        let staged = self.settings.staging_dir.join(away::REFUSED);
        if part.staged.is_none() {
            let Some((original, _)) = &part.original else { return Err(Stop::Again) };
            let adopted = check_file_name(&part.name).map(|()| self.store.adopt(original));
            let has_to_be_brought = |error: &StoreError| {
                matches!(error, StoreError::Partial(PartialError::OtherFileSystem(_)))
            };
            if let Ok(adopted) = adopted
                && !adopted.as_ref().is_err_and(has_to_be_brought)
            {
                return adopted.map_err(Stop::of_adopted);
            }
            let staging = &self.settings.staging_dir;
            self.disk.create_dir(staging).map_err(disk("make", staging))?;
            away::bring(&self.disk, original, &staged)?;
            part.staged = Some(staged.clone());
        }
        self.store.adopt(&staged).map_err(Stop::of_adopted)
    }

    /// The originals go, after the journal has noted that they are safe.
    fn put_away(&mut self, job: &mut Job) -> Result<Option<Step>, Stop> {
        let taking = taking(job);
        let Stage::PutAway(away) = &mut job.stage else { return Ok(None) };
        let sequence = away.sequence;
        if job.by_copy && !self.put_away_copied(away, taking)? {
            return Ok(None);
        }
        for part in &job.parts {
            self.watch.forget(&part.name);
        }
        Ok(Some(Step::Taken { name: job.name.clone(), sequence, bytes: job.bytes() }))
    }

    /// One step of it; false if there is more to do.
    fn put_away_copied(&mut self, away: &mut PutAway, taking: Taking) -> Result<bool, Stop> {
        let Self { disk: disk_, settings, .. } = self;
        let failed = |operation| disk(operation, &settings.dir);
        if !away.noted {
            let sequence = away.sequence.0;
            let taking = Taking { from: sequence, sealed: Some(sequence), ..taking };
            journal::write(disk_, &taking).map_err(failed("write journal of"))?;
            away.noted = true;
            return Ok(false);
        }
        for original in &taking.originals {
            if !away.step(disk_, settings, original)? {
                return Ok(false);
            }
        }
        journal::remove(disk_).map_err(failed("remove journal of"))?;
        Ok(true)
    }
}

/// Looks at some more of a file's ends.
fn look(file: &impl ReadAt, begun: Option<Box<Check>>) -> Result<Checked, TsFileError> {
    let mut check = begun.map_or_else(|| Check::new(file).map(Box::new), Ok)?;
    Ok(match check.step(file)? {
        Some(_) => Checked::Sound,
        None => Checked::Part(check),
    })
}

fn taken(job: &Job) -> Vec<TakenFile> {
    let files = job.parts.iter().filter_map(|part| {
        Some(TakenFile {
            name: part.name.clone(),
            partial: part.partial?,
            bytes: part.bytes,
            hash: *part.hash?.as_bytes(),
        })
    });
    files.collect()
}

fn originals(job: &Job) -> impl Iterator<Item = Original> {
    job.parts.iter().filter_map(|part| {
        let (_, stamp) = part.original.as_ref()?;
        Some(Original { name: part.name.clone(), stamp: *stamp })
    })
}

fn taking(job: &Job) -> Taking {
    let hash = job.parts.last().and_then(|part| part.hash);
    Taking {
        from: 0,
        sealed: None,
        originals: originals(job).collect(),
        blake3: hash.map(|hash| hash.to_hex().to_string()).unwrap_or_default(),
    }
}
