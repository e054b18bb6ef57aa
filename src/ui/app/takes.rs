//! What is done with takes: hearing, rating, naming, using, dropping.

use super::App;
use crate::editor::ScoreEdit;
use crate::tokens::FrameRate;
use crate::ui::action::{TakeAction, UsePlace};
use crate::ui::dialogs::Purpose;
use crate::ui::state::{Document, Offer, Place, Shown, TakeEntry, TakeId, place_take};
use crate::ui::tasks::Answer;

impl App {
    pub(super) fn take_action(&mut self, id: TakeId, action: TakeAction) {
        match action {
            TakeAction::Choose => self.choose_take(id),
            TakeAction::Play => self.play_take(id),
            TakeAction::Rate(stars) => self.rate(id, |entry| entry.stars = stars),
            TakeAction::Note(note) => self.rate(id, |entry| entry.note = note),
            TakeAction::StartRenaming => {
                let name = self.state.takes.get(id).map(|entry| entry.name.clone());
                self.state.takes.renaming = name.map(|name| (id, name));
            }
            TakeAction::Rename(name) => self.rename(id, name),
            TakeAction::Use(place) => self.use_take(id, place),
            TakeAction::Again => self.compose_again(id),
            TakeAction::ExportMidi => self.ask(Purpose::ExportTakeMidi(id)),
            TakeAction::ExportWav => self.ask(Purpose::ExportTakeWav(id)),
            TakeAction::Drop => self.drop_take(id),
        }
    }

    fn choose_take(&mut self, id: TakeId) {
        let was_playing = self.state.sound.is_playing;
        self.show(Shown::Take(id));
        if was_playing {
            self.play();
        }
    }

    fn play_take(&mut self, id: TakeId) {
        if self.state.shown == Shown::Take(id) && self.state.sound.is_playing {
            self.play_or_pause();
            return;
        }
        self.show(Shown::Take(id));
        self.player.seek(0.0);
        self.play();
    }

    pub(super) fn step_take(&mut self, step: isize) {
        let list = &self.state.takes.list;
        let id = match self.state.shown {
            Shown::Take(id) => self.state.takes.neighbor(id, step),
            _ if step > 0 => list.first().map(|entry| entry.id),
            _ => list.last().map(|entry| entry.id),
        };
        if let Some(id) = id {
            self.choose_take(id);
        }
    }

    pub(super) fn play_all_takes(&mut self) {
        let first = match self.state.shown {
            Shown::Take(id) => Some(id),
            _ => self.state.takes.list.first().map(|entry| entry.id),
        };
        if let Some(id) = first {
            self.show(Shown::Take(id));
            self.player.seek(0.0);
            self.play();
            self.state.takes.plays_all = true;
        }
    }

    fn rate(&mut self, id: TakeId, change: impl FnOnce(&mut TakeEntry)) {
        let Some(entry) = self.state.takes.get_mut(id) else { return };
        change(entry);
        let entry = entry.clone();
        self.keep_take(&entry);
        let (folder, now) = (self.data_dir.clone(), self.now_secs());
        self.tasks.write("keeping a rating", move || {
            let result = entry.write_rating(&folder, now).map_err(|error| {
                let folder = folder.display();
                format!("The rating can't be kept — {error}. Make room in {folder}")
            });
            Answer::Written { done: String::new(), result }
        });
    }

    fn rename(&mut self, id: TakeId, name: String) {
        self.state.takes.renaming = None;
        let name = name.trim();
        let Some(entry) = self.state.takes.get_mut(id).filter(|_| !name.is_empty()) else { return };
        entry.rename(name.to_owned());
        let entry = entry.clone();
        self.keep_take(&entry);
    }

    /// Writes a take to the disk on another thread, over what was there of it.
    pub(super) fn keep_take(&self, entry: &TakeEntry) {
        let (entry, folder) = (entry.clone(), self.data_dir.clone());
        self.tasks.write("keeping a take", move || {
            let result = entry.write(&folder).map_err(|error| {
                let (name, folder) = (&entry.name, folder.display());
                format!("{name} can't be kept for the next start — {error}. Make room in {folder}")
            });
            Answer::Written { done: String::new(), result }
        });
    }

    fn use_take(&mut self, id: TakeId, place: UsePlace) {
        let playhead_secs = self.state.score_playhead_secs();
        let Some(entry) = self.state.takes.get(id) else { return };
        let place = match place {
            UsePlace::Everything => Place::Everything,
            UsePlace::End => Place::End,
            UsePlace::Playhead => Place::At { secs: playhead_secs },
        };
        let rate = rate_with(&self.state.document, entry, place);
        let (label, done) = (place.label(&entry.name), place.done_words(&entry.name));
        let score = place_take(self.state.document.history.score(), entry, place);
        let end_secs = self.state.document.history.score().duration_secs();
        self.edit(&ScoreEdit::ReplaceScore { score: Box::new(score), label });
        self.state.document.set_composed_rate(rate);
        self.show_score();
        self.player.seek(match place {
            Place::Everything => 0.0,
            Place::End => end_secs,
            Place::At { secs } => secs,
        });
        self.read_clock();
        self.state.notices.done(format!("{done}. Undo takes it out again"));
    }

    /// What is shown is no score, and the user tried to change it.
    pub(super) fn refuse_editing(&mut self) {
        match self.state.shown {
            Shown::Take(id) => self.state.notices.offer(
                "This is a take. Use puts it into the score, where it can be edited",
                Some(Offer::UseTake(id)),
            ),
            Shown::Live => self.state.notices.offer(
                "This is still being composed. When it is done, Use puts it into the score, where \
                 it can be edited",
                None,
            ),
            Shown::Score => {}
        }
    }

    fn drop_take(&mut self, id: TakeId) {
        if self.state.shown == Shown::Take(id) {
            self.show_score();
        }
        let takes = &mut self.state.takes;
        let Some(idx) = takes.list.iter().position(|entry| entry.id == id) else { return };
        let dropped = takes.list.remove(idx);
        let words = format!("Dropped {}", dropped.name);
        takes.dropped = Some(dropped);
        // Only the last one can come back.
        self.state.notices.withdraw(Offer::UndoDrop);
        self.state.notices.offer(words, Some(Offer::UndoDrop));
        let folder = self.data_dir.clone();
        self.tasks.write("dropping a take", move || {
            let result = TakeEntry::delete(&folder, id)
                .map_err(|error| format!("The take's file can't be removed — {error}"));
            Answer::Written { done: String::new(), result }
        });
    }

    pub(super) fn undo_drop(&mut self) {
        if let Some(mut entry) = self.state.takes.dropped.take() {
            entry.id = self.state.takes.id_again(entry.id, &self.data_dir);
            self.keep_take(&entry);
            let at = self.state.takes.list.partition_point(|other| other.id < entry.id);
            self.state.notices.withdraw(Offer::UndoDrop);
            self.state.notices.done_quietly(format!("{} is back", entry.name));
            self.state.takes.list.insert(at, entry);
        }
    }
}

/// The rate of the frames when a take is in the score: the take's own where nothing else is there,
/// none where it meets music of another origin. One with touch has a time of its own, as any music:
/// its frames are none that a model of chords composes in.
fn rate_with(document: &Document, entry: &TakeEntry, place: Place) -> Option<FrameRate> {
    if entry.take.touch.is_some() {
        return None;
    }
    let score = document.history.score();
    let is_alone = score.notes().is_empty() && score.drums.is_empty();
    let rate = entry.playback.rate;
    match place {
        Place::Everything => Some(rate),
        _ if is_alone => Some(rate),
        Place::End | Place::At { .. } => document.composed_rate().filter(|other| *other == rate),
    }
}

#[cfg(test)]
mod tests {
    use super::super::compose::score_prime;
    use super::*;
    use crate::model::{Prime, ReadingPlan, Take};
    use crate::music::{Pitch, Score};
    use crate::tokens::{Chord, Grid, KeyFrame, Playback, StepsPerQuarter, Touch};
    use crate::ui::state::Provenance;

    #[test]
    fn a_take_with_touch_is_continued_in_seconds_by_a_model_of_chords() {
        let chord = |number: u8| Pitch::new(number).into_iter().collect::<Chord>();
        let chords = [60, 62, 64, 65].map(chord);
        // Two seconds, each chord for half of one.
        let roll: Vec<Chord> = chords.iter().flat_map(|&chord| [chord; 4]).collect();
        let struck = |idx: usize| if idx.is_multiple_of(4) { roll[idx] } else { Chord::REST };
        let frame =
            |idx| KeyFrame { sounding: roll[idx], struck: struck(idx), ..KeyFrame::default() };
        let touch: Vec<KeyFrame> = (0..roll.len()).map(frame).collect();
        let grid = Grid::Beats(StepsPerQuarter::SIXTEENTHS);
        let playback = Playback { grid, ..Playback::default() };
        let plan = ReadingPlan::default();
        assert_eq!(plan.music.frames.rate.per_second(), 2.0);
        let mut plan = plan;
        plan.music.touch = Touch::Ignored;
        let continued = |touch: Option<Vec<KeyFrame>>| {
            let take = Take {
                roll: roll.clone(),
                touch,
                n_prime_frames: 0,
                seed: 1,
                log_likelihood: 0.0,
                secs: 0.0,
            };
            let name = "Take 1".to_owned();
            let entry = TakeEntry::new(TakeId(1), name, take, playback, Provenance::default());
            let mut document = Document::new(Score::default(), None);
            let rate = rate_with(&document, &entry, Place::Everything);
            let score = place_take(document.history.score(), &entry, Place::Everything);
            let edit = ScoreEdit::ReplaceScore { score: Box::new(score), label: "Use".to_owned() };
            document.commit(&edit).unwrap();
            document.set_composed_rate(rate);
            score_prime(&document, 9.0, &plan).unwrap().prime
        };
        assert_eq!(continued(touch.into()), Prime::Chords(chords.to_vec()));
        assert_eq!(continued(None), Prime::Chords(roll.clone()));
    }
}
