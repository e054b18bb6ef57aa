//! The takes: what was composed, what people think of it, and the folder that keeps both.
//!
//! Each take is one small JSON file in `takes/`, so that one that is damaged takes no other with
//! it. Ratings are also appended to `ratings.jsonl`: a line says what was rated, how, and what
//! made it, and outlives the take.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ModelChoice;
use crate::files::write_atomically;
use crate::model::{ComposeSettings, NearSilence, Prime, Stage, Strategy, Take};
use crate::music::Score;
use crate::tokens::Playback;

/// Names a take for as long as it is kept; ids grow with age.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TakeId(pub u64);

/// What made a take.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// The model in words.
    pub model: String,
    /// The run's folder, unless the starter composed.
    pub run: Option<PathBuf>,
    /// The stage of its weights.
    pub epoch: usize,
    pub steps_into_epoch: usize,
    pub settings: ComposeSettings,
    /// Whether the prime was the score before the playhead, so that "Use" leaves it out.
    pub continues_score: bool,
    /// Seconds since 1970.
    pub made_at: u64,
}

impl Provenance {
    /// What would compose it again.
    pub fn composer(&self) -> ModelChoice {
        self.run.clone().map_or(ModelChoice::Starter, ModelChoice::Run)
    }

    pub fn stage(&self) -> Stage {
        Stage { epoch: self.epoch, steps_into_epoch: self.steps_into_epoch }
    }

    /// Whether other random numbers can give other notes: a search finds the same ones each time.
    pub fn is_drawn(&self) -> bool {
        let settings = &self.settings;
        matches!(settings.strategy, Strategy::Sample { .. }) || settings.prime == Prime::Random
    }
}

/// A take with its name, rating and origin.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TakeEntry {
    pub id: TakeId,
    pub name: String,
    pub take: Take,
    pub playback: Playback,
    pub provenance: Provenance,
    /// 0 is unrated, 5 the best.
    #[serde(default)]
    pub stars: u8,
    #[serde(default)]
    pub note: String,
    /// The take as music; made again when it is read.
    #[serde(skip)]
    pub score: Arc<Score>,
    /// It has hardly any notes.
    #[serde(skip)]
    pub near_silence: Option<NearSilence>,
}

impl TakeEntry {
    pub fn new(
        id: TakeId,
        name: String,
        take: Take,
        playback: Playback,
        provenance: Provenance,
    ) -> Self {
        let mut score = take.score(&playback);
        score.title.clone_from(&name);
        let score = Arc::new(score);
        let near_silence = NearSilence::of(&take, &provenance.settings, &playback);
        let note = String::new();
        Self { id, name, take, playback, provenance, stars: 0, note, score, near_silence }
    }

    /// That it has hardly any notes, why, and what to do, to be said of its name.
    pub fn near_silence_words(&self) -> Option<String> {
        let strategy = self.provenance.settings.strategy;
        let advice = match strategy {
            Strategy::Sample { .. } => "Be more daring, or let it begin with a chord",
            Strategy::Max | Strategy::Beam { .. } => "Choose Sample at How: it draws by lot",
        };
        self.near_silence.map(|found| format!("{}. {advice}", found.words(strategy)))
    }

    /// A take that was read, with the music that isn't kept with it.
    pub fn restored(self) -> Self {
        let Self { id, name, take, playback, provenance, stars, note, .. } = self;
        let stars = stars.min(5);
        Self { stars, note, ..Self::new(id, name, take, playback, provenance) }
    }

    pub fn rename(&mut self, name: String) {
        Arc::make_mut(&mut self.score).title.clone_from(&name);
        self.name = name;
    }

    fn path(folder: &Path, id: TakeId) -> PathBuf {
        folder.join("takes").join(format!("{}.json", id.0))
    }

    /// Claims an id for a take that will be written soon, with an empty file that no other window
    /// can claim too. False if the id is taken.
    fn claim(folder: &Path, id: TakeId) -> bool {
        let path = Self::path(folder, id);
        let claimed = fs::create_dir_all(folder.join("takes"))
            .and_then(|()| fs::File::options().write(true).create_new(true).open(&path));
        match claimed {
            Ok(_) => true,
            // Where nothing can be written nothing can be lost; writing the take says so.
            Err(error) => error.kind() != io::ErrorKind::AlreadyExists,
        }
    }

    /// Writes the take into `folder/takes`, over what was there of it.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder.join("takes"))?;
        write_atomically(&Self::path(folder, self.id), &serde_json::to_vec(self)?)
    }

    pub fn delete(folder: &Path, id: TakeId) -> io::Result<()> {
        match fs::remove_file(Self::path(folder, id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Appends how the take is rated to `folder/ratings.jsonl`, with what made it. The last line
    /// about a take counts.
    pub fn write_rating(&self, folder: &Path, rated_at: u64) -> io::Result<()> {
        let line = Rating {
            take: self.id,
            name: &self.name,
            stars: self.stars,
            note: &self.note,
            rated_at,
            model: &self.provenance.model,
            run: self.provenance.run.as_deref(),
            epoch: self.provenance.epoch,
            steps_into_epoch: self.provenance.steps_into_epoch,
            seed: self.take.seed,
            settings: &self.provenance.settings,
        };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        fs::create_dir_all(folder)?;
        let path = folder.join("ratings.jsonl");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(&line)?;
        file.sync_data()
    }
}

/// A line of `ratings.jsonl`.
#[derive(Serialize)]
struct Rating<'a> {
    take: TakeId,
    name: &'a str,
    stars: u8,
    note: &'a str,
    rated_at: u64,
    model: &'a str,
    run: Option<&'a Path>,
    epoch: usize,
    steps_into_epoch: usize,
    seed: u64,
    settings: &'a ComposeSettings,
}

/// Every take that is kept, oldest first.
#[derive(Default)]
pub struct Takes {
    pub list: Vec<TakeEntry>,
    /// The one dropped last, until another is dropped.
    pub dropped: Option<TakeEntry>,
    /// The highest id that was ever seen, whether or not its file could be read.
    pub last_id: u64,
    /// Whether the list holds what the folder holds.
    pub is_read: bool,
    /// Takes of a project that was opened before the list was read.
    pub to_adopt: Vec<TakeEntry>,
    /// The take whose name is being written, and the name so far.
    pub renaming: Option<(TakeId, String)>,
    /// Plays one take after the other.
    pub plays_all: bool,
}

impl Takes {
    /// A take file larger than this is not one: an hour at 32 frames a second stays below.
    const MAX_FILE_BYTES: u64 = 32 << 20;
    /// Takes read at the start; older ones stay on disk.
    const MAX_READ: usize = 200;

    /// Reads what `folder/takes` holds. What can't be read is passed over and named.
    pub fn read(folder: &Path) -> (Vec<TakeEntry>, Vec<String>) {
        let mut paths = Self::files(folder);
        paths.sort_unstable();
        let first = paths.len().saturating_sub(Self::MAX_READ);
        let (mut entries, mut failures) = (Vec::new(), Vec::new());
        for (_, path) in paths.drain(first..) {
            match Self::read_one(&path) {
                Ok(entry) => entries.extend(entry),
                Err(error) => failures.push(format!("{}: {error}", path.display())),
            }
        }
        (entries, failures)
    }

    /// The files of `folder/takes` whose name is an id, by their names alone.
    fn files(folder: &Path) -> Vec<(u64, PathBuf)> {
        let Ok(files) = fs::read_dir(folder.join("takes")) else { return Vec::new() };
        let named = files.filter_map(|file| {
            let path = file.ok()?.path();
            let id = path.file_stem()?.to_str()?.parse().ok()?;
            (path.extension()? == "json").then_some((id, path))
        });
        named.collect()
    }

    /// The highest id in `folder/takes`, of damaged files too; 0 if there is none.
    pub fn last_kept_id(folder: &Path) -> u64 {
        Self::files(folder).into_iter().map(|(id, _)| id).max().unwrap_or(0)
    }

    /// Those of a project's takes that are not in the list, each with an id of its own.
    pub fn adopt(&mut self, takes: Vec<TakeEntry>, folder: &Path) -> Vec<TakeEntry> {
        let mut adopted = Vec::new();
        for mut entry in takes {
            let is_same = |other: &TakeEntry| {
                other.take == entry.take && other.provenance == entry.provenance
            };
            if self.list.iter().chain(&self.dropped).any(is_same) {
                continue;
            }
            entry.id = self.next_id(folder);
            self.list.push(entry.clone());
            adopted.push(entry);
        }
        adopted
    }

    /// Takes in what was read from the disk; takes made in the meantime stay behind it.
    pub fn take_in(&mut self, mut read: Vec<TakeEntry>) {
        read.retain(|entry| self.get(entry.id).is_none());
        read.append(&mut self.list);
        self.list = read;
        self.is_read = true;
    }

    /// The take in a file; none where its id is only claimed.
    fn read_one(path: &Path) -> io::Result<Option<TakeEntry>> {
        match fs::metadata(path)?.len() {
            0 => return Ok(None),
            len if len > Self::MAX_FILE_BYTES => {
                return Err(io::Error::other("it is too large to be a take"));
            }
            _ => {}
        }
        Ok(Some(serde_json::from_slice::<TakeEntry>(&fs::read(path)?)?.restored()))
    }

    pub fn get(&self, id: TakeId) -> Option<&TakeEntry> {
        self.list.iter().find(|entry| entry.id == id)
    }

    pub fn get_mut(&mut self, id: TakeId) -> Option<&mut TakeEntry> {
        self.list.iter_mut().find(|entry| entry.id == id)
    }

    /// An id that no take has: none in the list, none dropped, and none whose file is in
    /// `folder`, where another window may have written one since the start. From now on it is
    /// this window's.
    pub fn next_id(&mut self, folder: &Path) -> TakeId {
        let known = self.list.iter().chain(&self.dropped).map(|entry| entry.id.0);
        let mut id = known.max().unwrap_or(0).max(self.last_id) + 1;
        while !TakeEntry::claim(folder, TakeId(id)) {
            id += 1;
        }
        self.last_id = id;
        TakeId(id)
    }

    /// The id of a dropped take that comes back: its own, unless another window has given it to
    /// another take since.
    pub fn id_again(&mut self, id: TakeId, folder: &Path) -> TakeId {
        if TakeEntry::claim(folder, id) { id } else { self.next_id(folder) }
    }

    /// The take after another in the list, or before it.
    pub fn neighbor(&self, id: TakeId, step: isize) -> Option<TakeId> {
        let idx = self.list.iter().position(|entry| entry.id == id)?;
        self.list.get(idx.checked_add_signed(step)?).map(|entry| entry.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Pitch, Velocity};
    use crate::tokens::{Chord, KeyFrame};

    fn entry(id: u64) -> TakeEntry {
        let chord: Chord = [Pitch::MIDDLE_C].into_iter().collect();
        let take = Take {
            roll: vec![chord; 4],
            touch: None,
            n_prime_frames: 1,
            seed: 7,
            log_likelihood: -3.5,
            secs: 0.25,
        };
        let (playback, provenance) = (Playback::default(), Provenance::default());
        TakeEntry::new(TakeId(id), format!("Take {id}"), take, playback, provenance)
    }

    #[test]
    fn takes_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut rated = entry(12);
        rated.stars = 4;
        rated.note = "the second phrase sings".to_owned();
        rated.write(folder.path()).unwrap();
        entry(3).write(folder.path()).unwrap();
        fs::write(folder.path().join("takes/5.json"), b"{\"id\": 5").unwrap();
        let (entries, failures) = Takes::read(folder.path());
        assert_eq!(entries, [entry(3), rated]);
        assert_eq!(failures.len(), 1);
        TakeEntry::delete(folder.path(), TakeId(3)).unwrap();
        TakeEntry::delete(folder.path(), TakeId(3)).unwrap();
        assert_eq!(Takes::read(folder.path()).0.len(), 1);
    }

    #[test]
    fn a_new_take_never_takes_the_place_of_a_kept_one() {
        let folder = tempfile::tempdir().unwrap();
        entry(3).write(folder.path()).unwrap();
        fs::write(folder.path().join("takes/7.json"), b"damaged").unwrap();
        // Before the folder is read, the names alone count.
        let last_id = Takes::last_kept_id(folder.path());
        assert_eq!(last_id, 7);
        let mut takes = Takes { last_id, ..Takes::default() };
        let id = takes.next_id(folder.path());
        assert_eq!(id, TakeId(8));
        takes.list.push(entry(id.0));
        // Another window makes two takes in the meantime, and has written one of them.
        let mut other = Takes { last_id, ..Takes::default() };
        assert_eq!(other.next_id(folder.path()), TakeId(9));
        assert_eq!(other.next_id(folder.path()), TakeId(10));
        entry(9).write(folder.path()).unwrap();
        assert_eq!(takes.next_id(folder.path()), TakeId(11));
        // What is claimed and not written yet is no damaged take.
        let (entries, failures) = Takes::read(folder.path());
        assert_eq!((entries.len(), failures.len()), (2, 1), "{failures:?}");
        // An id isn't given again when its take is gone.
        takes.list.clear();
        assert_eq!(takes.next_id(folder.path()), TakeId(12));
        takes.list.push(entry(12));
        takes.take_in(vec![entry(3), entry(12)]);
        let ids: Vec<u64> = takes.list.iter().map(|entry| entry.id.0).collect();
        assert_eq!(ids, [3, 12]);
        assert_eq!(fs::read(folder.path().join("takes/7.json")).unwrap(), b"damaged");
    }

    #[test]
    fn a_take_that_comes_back_takes_no_other_window_s_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut takes = Takes { last_id: 5, ..Takes::default() };
        assert_eq!(takes.id_again(TakeId(5), folder.path()), TakeId(5));
        // Here the number was given to another take while this one was dropped.
        entry(4).write(folder.path()).unwrap();
        assert_eq!(takes.id_again(TakeId(4), folder.path()), TakeId(6));
        assert_eq!(Takes::read(folder.path()).0, [entry(4)]);
    }

    #[test]
    fn takes_of_a_project_join_the_list_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut takes = Takes::default();
        takes.take_in(vec![entry(1)]);
        let mut other = entry(1);
        other.take.seed = 8;
        other.stars = 5;
        // As a project keeps them.
        let kept = serde_json::to_value([entry(1), other.clone()]).unwrap();
        let read: Vec<TakeEntry> = serde_json::from_value(kept).unwrap();
        let read: Vec<TakeEntry> = read.into_iter().map(TakeEntry::restored).collect();
        assert_eq!(read[1], other);
        let adopted = takes.adopt(read.clone(), folder.path());
        assert_eq!(adopted.len(), 1);
        assert_eq!((adopted[0].id, adopted[0].stars), (TakeId(2), 5));
        assert!(takes.adopt(read, folder.path()).is_empty());
        assert_eq!(takes.list.len(), 2);
    }

    #[test]
    fn touch_is_kept_and_played() {
        let chord: Chord = [Pitch::MIDDLE_C].into_iter().collect();
        let strike = |velocity, pedal| KeyFrame {
            sounding: chord,
            struck: chord,
            velocities: vec![Velocity::new(velocity).unwrap()],
            pedal,
        };
        let held = KeyFrame { sounding: chord, pedal: true, ..KeyFrame::default() };
        let touch = vec![strike(30, false), strike(90, true), held, KeyFrame::default()];
        let without = entry(1);
        let mut take = without.take.clone();
        take.roll = touch.iter().map(|frame| frame.sounding).collect();
        take.touch = Some(touch);
        let playback = Playback { grid: "eighth".parse().unwrap(), ..Playback::default() };
        let entry =
            TakeEntry::new(TakeId(2), "Played".to_owned(), take, playback, without.provenance);
        let notes = entry.score.notes().iter();
        let notes: Vec<_> =
            notes.map(|note| (note.start.0, note.length.0, note.velocity.number())).collect();
        assert_eq!(notes, [(0, 240, 30), (240, 480, 90)]);
        let pedal = |score: &Score| {
            score.pedal.iter().map(|span| (span.start.0, span.end.0)).collect::<Vec<_>>()
        };
        assert_eq!(pedal(&entry.score), [(240, 720)]);
        // The MIDI file has it all.
        let written = crate::music::smf::read(&crate::music::smf::write(&entry.score)).unwrap();
        let velocities = written.score.notes().iter().map(|note| note.velocity.number());
        assert_eq!(velocities.collect::<Vec<_>>(), [30, 90]);
        assert_eq!(pedal(&written.score), [(240, 720)]);
        // A project keeps it, and one of an older version has none.
        let mut kept = serde_json::to_value(&entry).unwrap();
        let read = |kept: &serde_json::Value| TakeEntry::deserialize(kept).unwrap().restored();
        assert_eq!(read(&kept), entry);
        kept["take"].as_object_mut().unwrap().remove("touch");
        kept["playback"].as_object_mut().unwrap().remove("grid");
        let older = read(&kept);
        assert_eq!((older.take.touch, older.score.notes().len()), (None, 1));
    }

    #[test]
    fn ratings_are_kept_with_what_made_the_take() {
        let folder = tempfile::tempdir().unwrap();
        let mut rated = entry(1);
        for stars in [2, 5] {
            rated.stars = stars;
            rated.write_rating(folder.path(), 99).unwrap();
        }
        let text = fs::read_to_string(folder.path().join("ratings.jsonl")).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["stars"], 5);
        assert_eq!(lines[1]["seed"], 7);
        assert_eq!(lines[1]["settings"]["frames"], 300);
    }
}
