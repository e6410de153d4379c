//! A disk in memory that can fill up, fail, and lose power.
//!
//! A file has what was synced and, behind that, every write since. A directory has the names that
//! were synced and every change of a name since. When the power goes, any part of what was not
//! synced may be there: each write whole, in part, torn within a sector, or zeroed where the file
//! grew; each cut or extension of a file; each name.

use secretum_storage::raft::disk::{Disk, DiskFile, DiskLock, Open};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

const SECTOR: usize = 512;

/// Cheap random numbers from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides.max(1)
    }

    fn index(&mut self, sides: usize) -> usize {
        usize::try_from(self.roll(sides as u64)).unwrap()
    }
}

#[derive(Debug, Clone)]
enum Write {
    At(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    since: Vec<Write>,
}

#[derive(Debug, Clone)]
enum Rename {
    Make(PathBuf, usize),
    MakeDirectory(PathBuf),
    Move(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Rename {
    fn path(&self) -> &Path {
        match self {
            Self::Make(path, _) | Self::MakeDirectory(path) | Self::Remove(path) => path,
            Self::Move(_, to) => to,
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Names {
    files: BTreeMap<PathBuf, usize>,
    directories: BTreeSet<PathBuf>,
}

impl Names {
    fn apply(&mut self, change: &Rename) {
        match change {
            Rename::Make(path, file) => drop(self.files.insert(path.clone(), *file)),
            Rename::MakeDirectory(path) => drop(self.directories.insert(path.clone())),
            Rename::Move(from, to) => {
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(to.clone(), file);
                }
            }
            Rename::Remove(path) => drop(self.files.remove(path)),
        }
    }
}

/// The last step that was acknowledged of each key, and so on: whatever a test notes down.
pub(crate) type Notes = BTreeMap<String, u64>;

#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    files: Vec<Content>,
    now: Names,
    synced: Names,
    since: Vec<Rename>,
    pub(crate) notes: Notes,
    /// Calls that changed something.
    pub(crate) steps: u64,
    /// How many bytes files may still grow by.
    pub(crate) room: Option<u64>,
    /// Syncs of files that were asked for.
    pub(crate) syncs: u64,
    /// What syncs of files wait for.
    pub(crate) gate: Option<Arc<Gate>>,
    /// Whether syncs fail.
    pub(crate) syncs_fail: bool,
    /// Whether every change is refused.
    pub(crate) read_only: bool,
    /// The steps at which the power goes, in order, from the last to the first.
    cuts: Vec<u64>,
    /// The disk as it was when the power went.
    taken: Vec<World>,
    locked: BTreeSet<PathBuf>,
}

/// Holds back those who come until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(
            self.opened
                .wait_while(is_open, |is_open| !*is_open)
                .unwrap(),
        );
    }
}

/// A disk in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimulatedDisk(Arc<Mutex<World>>);

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
}

struct Locked(SimulatedDisk, PathBuf);

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.world().locked.remove(&self.1);
    }
}

impl World {
    /// Before each change: whether it is allowed, and whether the power goes first.
    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        while self.cuts.last().is_some_and(|cut| *cut <= self.steps) {
            self.cuts.pop();
            let mut taken = std::mem::take(&mut self.taken);
            let cuts = std::mem::take(&mut self.cuts);
            let mut world = self.clone();
            world.locked.clear();
            taken.push(world);
            self.taken = taken;
            self.cuts = cuts;
        }
        match self.read_only {
            true => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            false => Ok(()),
        }
    }

    fn write(&mut self, file: usize, offset: usize, data: &[u8]) -> io::Result<()> {
        self.step()?;
        let grows = (offset + data.len()).saturating_sub(self.files[file].now.len()) as u64;
        let fits = self.room.map_or(data.len(), |room| {
            data.len()
                - usize::try_from(grows.saturating_sub(room))
                    .unwrap()
                    .min(data.len())
        });
        self.room = self.room.map(|room| room.saturating_sub(grows));
        let content = &mut self.files[file];
        if fits > 0 {
            put(&mut content.now, offset, &data[..fits]);
            content.since.push(Write::At(offset, data[..fits].to_vec()));
        }
        if fits < data.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn set_len(&mut self, file: usize, bytes: usize) -> io::Result<()> {
        self.step()?;
        let grows = bytes.saturating_sub(self.files[file].now.len()) as u64;
        if self.room.is_some_and(|room| room < grows) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room = self.room.map(|room| room - grows);
        let content = &mut self.files[file];
        content.now.resize(bytes, 0);
        content.since.push(Write::Length(bytes));
        Ok(())
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        self.step()?;
        if self.syncs_fail {
            return Err(io::Error::from_raw_os_error(5));
        }
        let content = &mut self.files[file];
        content.synced.clone_from(&content.now);
        content.since.clear();
        Ok(())
    }

    fn rename(&mut self, change: Rename) -> io::Result<()> {
        self.step()?;
        self.now.apply(&change);
        self.since.push(change);
        Ok(())
    }

    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        if self.syncs_fail {
            return Err(io::Error::from_raw_os_error(5));
        }
        let (here, elsewhere): (Vec<_>, Vec<_>) = std::mem::take(&mut self.since)
            .into_iter()
            .partition(|change| change.path().parent() == Some(path));
        self.since = elsewhere;
        for change in here {
            self.synced.apply(&change);
        }
        Ok(())
    }

    /// Makes every name so far durable.
    pub(crate) fn settle(&mut self) {
        self.since.clear();
        self.synced = self.now.clone();
    }

    /// What the disk holds when the power comes back.
    pub(crate) fn after_power_cut(&self, dice: &mut Dice) -> SimulatedDisk {
        let mut world = Self {
            notes: self.notes.clone(),
            ..Self::default()
        };
        world.files = self
            .files
            .iter()
            .map(|content| survived(content, dice))
            .collect();
        world.now = self.synced.clone();
        let all_up_to = dice.index(self.since.len() + 1);
        let some = dice.roll(2) == 0;
        for (place, change) in self.since.iter().enumerate() {
            let kept = if some {
                dice.roll(2) == 0
            } else {
                place < all_up_to
            };
            if kept {
                world.now.apply(change);
            }
        }
        // A name in a directory that is not there is not there.
        let Names { files, directories } = &mut world.now;
        files.retain(|path, _| {
            path.ancestors()
                .skip(1)
                .all(|above| directories.contains(above))
        });
        let there = directories.clone();
        directories.retain(|path| path.ancestors().all(|above| there.contains(above)));
        world.synced = world.now.clone();
        SimulatedDisk(Arc::new(Mutex::new(world)))
    }
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if content.len() < offset + data.len() {
        content.resize(offset + data.len(), 0);
    }
    content[offset..offset + data.len()].copy_from_slice(data);
}

/// A file after the power was gone: what was synced, and any part of what was not.
fn survived(content: &Content, dice: &mut Dice) -> Content {
    let mut after = content.synced.clone();
    // Mostly each write fares by itself; sometimes all are there, or none.
    let mood = dice.roll(8);
    for write in &content.since {
        match write {
            _ if mood == 0 => {}
            Write::Length(bytes) => {
                if mood == 1 || dice.roll(2) == 0 {
                    after.resize(*bytes, 0);
                }
            }
            Write::At(offset, data) if mood == 1 => put(&mut after, *offset, data),
            Write::At(offset, data) => tear(&mut after, *offset, data, dice),
        }
    }
    Content {
        now: after.clone(),
        synced: after,
        since: Vec::new(),
    }
}

/// Writes some of the sectors of a write.
fn tear(after: &mut Vec<u8>, offset: usize, data: &[u8], dice: &mut Dice) {
    let fate = dice.roll(6);
    let end = dice.index(data.len() + 1);
    match fate {
        0 => {}
        1 => put(after, offset, data),
        // Only its beginning, up to any byte; or only its end.
        2 => put(after, offset, &data[..end]),
        3 => put(after, offset + end, &data[end..]),
        // The file grew, the data did not come.
        4 => {
            let bytes = after.len().max(offset + data.len());
            after.resize(bytes, 0);
        }
        _ => {
            let mut at = 0;
            while at < data.len() {
                let next = ((offset + at) / SECTOR + 1) * SECTOR - offset;
                let next = next.min(data.len());
                if dice.roll(2) == 0 {
                    put(after, offset + at, &data[at..next]);
                }
                at = next;
            }
        }
    }
}

impl SimulatedDisk {
    /// A disk as it was at some moment, with the power on.
    pub(crate) fn of(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Has the power go at these steps; the disk goes on, and what was there is kept.
    pub(crate) fn cut_at(&self, mut steps: Vec<u64>) {
        steps.sort_unstable_by_key(|step| std::cmp::Reverse(*step));
        self.world().cuts = steps;
    }

    pub(crate) fn notes(&self) -> Notes {
        self.world().notes.clone()
    }

    /// The disks of the power cuts so far.
    pub(crate) fn taken(&self) -> Vec<World> {
        std::mem::take(&mut self.world().taken)
    }

    /// The disk as it is, power or not: what a killed process leaves.
    pub(crate) fn image(&self) -> Self {
        let mut world = self.world().clone();
        world.locked.clear();
        world.taken.clear();
        world.cuts.clear();
        Self(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn names(&self) -> Vec<PathBuf> {
        self.world().now.files.keys().cloned().collect()
    }

    /// The content of a file, to look at and to damage.
    pub(crate) fn content(&self, path: &Path) -> Vec<u8> {
        let world = self.world();
        world.files[world.now.files[path]].now.clone()
    }

    pub(crate) fn set_content(&self, path: &Path, data: Vec<u8>) {
        let mut world = self.world();
        let file = world.now.files[path];
        world.files[file] = Content {
            now: data.clone(),
            synced: data,
            since: Vec::new(),
        };
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        let known = world.now.files.get(path).copied();
        let file = match (known, how) {
            (Some(file), Open::Existing) => file,
            (None, Open::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (Some(file), Open::Fresh) => {
                world.set_len(file, 0)?;
                file
            }
            (None, Open::Fresh) => {
                world.files.push(Content::default());
                let file = world.files.len() - 1;
                world.rename(Rename::Make(path.to_owned(), file))?;
                file
            }
        };
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            file,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.world()
            .rename(Rename::Move(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.world().rename(Rename::Remove(path.to_owned()))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.world().now.directories.contains(path) {
            return Ok(());
        }
        self.world().rename(Rename::MakeDirectory(path.to_owned()))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        if !world.now.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = world.now.files.keys().chain(&world.now.directories);
        let here = names.filter(|name| name.parent() == Some(path));
        Ok(here
            .map(|it| it.file_name().unwrap().to_string_lossy().into_owned())
            .collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.world().sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        let fresh = self.world().locked.insert(path.to_owned());
        Ok(fresh.then(|| Box::new(Locked(self.clone(), path.to_owned())) as DiskLock))
    }
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.world().files[self.file].now.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let world = self.disk.world();
        let offset = usize::try_from(offset).unwrap();
        let data = world.files[self.file]
            .now
            .get(offset..offset + buffer.len());
        buffer.copy_from_slice(data.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk
            .world()
            .write(self.file, usize::try_from(offset).unwrap(), data)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.disk
            .world()
            .set_len(self.file, usize::try_from(bytes).unwrap())
    }

    fn sync(&self) -> io::Result<()> {
        let gate = {
            let mut world = self.disk.world();
            world.syncs += 1;
            world.gate.clone()
        };
        if let Some(gate) = gate {
            gate.pass();
        }
        self.disk.world().sync(self.file)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}
