//! The transport: what sounds follows what is shown.

use std::sync::Arc;

use super::App;
use super::risk::Risk;
use crate::audio::FontSource;
use crate::music::{Key, Pitch, Score, Tick, Velocity};
use crate::ui::action::SoundAction;
use crate::ui::piano_roll::KeyTouch;
use crate::ui::state::Shown;
use crate::ui::tasks::Answer;

impl App {
    /// How long a key that is clicked sounds, in seconds.
    const AUDITION_SECS: f32 = 0.5;

    pub(super) fn sound_action(&mut self, action: SoundAction) {
        match action {
            SoundAction::Seek(secs) => self.seek(secs),
            SoundAction::Scrub(secs) => {
                self.player.scrub(secs);
                self.state.sound.playhead_secs = secs;
            }
            SoundAction::EndScrub => self.player.end_scrub(),
            SoundAction::Loop(range) => {
                self.state.document.loop_range = range;
                self.state.sound.is_looping = true;
            }
            SoundAction::Key(KeyTouch::Down(pitch, velocity)) => {
                self.player.key_down(pitch, velocity);
            }
            SoundAction::Key(KeyTouch::Drag(pitch, velocity)) => {
                self.player.key_drag(pitch, velocity);
            }
            SoundAction::Key(KeyTouch::Up) => self.player.all_keys_up(),
            SoundAction::Speed(speed) => {
                self.state.sound.speed = speed;
                self.player.set_speed(speed);
            }
            SoundAction::Volume(volume) => {
                self.state.preferences.volume = volume;
                self.player.set_volume(volume);
            }
            SoundAction::Audition(notes) => self.audition(&notes),
        }
    }

    /// Lets notes that were touched sound together, unless the user wants them silent.
    pub(super) fn audition(&self, notes: &[(Pitch, Velocity)]) {
        if self.state.preferences.hears_notes {
            self.player.audition_chord(notes, Self::AUDITION_SECS);
        }
    }

    pub(super) fn seek(&mut self, secs: f64) {
        self.player.seek(secs);
        self.state.sound.playhead_secs = secs;
    }

    pub(super) fn play_or_pause(&mut self) {
        if self.state.sound.is_playing {
            self.player.pause();
            self.state.takes.plays_all = false;
        } else {
            // At the end the player goes to where it begins: to the loop's start, if there is one.
            self.sync_player();
            match self.state.preferences.count_in {
                true => self.player.play_with_count_in(1),
                false => self.player.play(),
            }
        }
        self.read_clock();
    }

    /// Plays what lies between the loop's ends again and again, or no longer. Without a loop the
    /// bars of the selected notes become one, or the whole piece.
    pub(super) fn toggle_loop(&mut self) {
        let document = &mut self.state.document;
        if document.loop_range.is_some() {
            self.state.sound.is_looping ^= true;
            return;
        }
        let score = document.history.score();
        let notes = document.selection.notes(score);
        let selected = notes.fold(None, |range: Option<(Tick, Tick)>, note| {
            let (start, end) = range.unwrap_or((note.start, note.end()));
            Some((start.min(note.start), end.max(note.end())))
        });
        let (start, end) = selected.unwrap_or((Tick::ZERO, score.end()));
        let grid = score.bar_grid();
        let last = grid.bar_at(Tick(end.0.saturating_sub(1).max(start.0)));
        document.loop_range = Some((grid.bar_at(start).start, last.end));
        self.state.sound.is_looping = true;
    }

    pub(super) fn toggle_metronome(&mut self) {
        self.state.preferences.metronome ^= true;
        self.player.set_metronome(self.state.preferences.metronome);
    }

    /// Gives the player the loop of what is shown, if that has changed. A take has none.
    fn sync_loop(&mut self) {
        let is_on = self.state.sound.is_looping && self.state.shown == Shown::Score;
        let range = self.state.document.loop_range.filter(|_| is_on);
        let tempo_map = &self.state.document.history.score().tempo_map;
        let secs = |tick: Tick| tempo_map.secs_from_tick(tick);
        let wanted = range.map(|(start, end)| secs(start)..secs(end));
        if wanted == self.sent_loop {
            return;
        }
        if let Err(error) = self.player.set_loop(wanted.clone()) {
            self.state.notices.error(error.to_string());
            self.state.document.loop_range = None;
        }
        self.sent_loop = wanted;
    }

    pub(super) fn play(&mut self) {
        self.sync_player();
        self.player.play();
        self.read_clock();
    }

    pub(super) fn stop(&mut self) {
        self.player.pause();
        self.seek(0.0);
        self.roll.go_to(Tick::ZERO);
        self.state.takes.plays_all = false;
        self.read_clock();
    }

    pub(super) fn go_to_end(&mut self) {
        let score = self.state.shown_score();
        let (end, secs) = (score.end(), score.duration_secs());
        self.seek(secs);
        self.roll.go_to(end);
        self.read_clock();
    }

    pub(super) fn read_clock(&mut self) {
        self.state.sound.is_playing = self.player.is_playing();
        self.state.sound.playhead_secs = self.player.playhead_secs();
        self.state.sound.count_in_beats = self.player.count_in_beats_left();
    }

    /// Gives the player what is shown, if that has changed since it was given something.
    pub(super) fn sync_player(&mut self) {
        let score = self.state.shown_score();
        let is_sent = self.sent_score.as_ref().is_some_and(|sent| Arc::ptr_eq(sent, score));
        if !is_sent {
            self.player.set_score(score);
            self.sent_score = Some(Arc::clone(score));
            self.estimate_key();
        }
        self.sync_loop();
    }

    /// Works out the key of what is shown on another thread, one score at a time.
    fn estimate_key(&mut self) {
        if self.is_estimating_key {
            return;
        }
        self.is_estimating_key = true;
        let score = Arc::clone(self.state.shown_score());
        self.tasks.spawn("estimating the key", move || {
            let key = Key::estimate(&score);
            Answer::KeyEstimated { score, key }
        });
    }

    pub(super) fn key_estimated(&mut self, score: Arc<Score>, key: Option<Key>) {
        self.is_estimating_key = false;
        let is_shown = Arc::ptr_eq(&score, self.state.shown_score());
        self.state.key = Some((score, key));
        if !is_shown {
            self.estimate_key();
        }
    }

    /// Shows something else; the playhead goes to its start, or back to where the score was left.
    pub(super) fn show(&mut self, shown: Shown) {
        if shown == self.state.shown {
            return;
        }
        if self.state.shown == Shown::Score {
            self.state.sound.score_playhead_secs = self.state.sound.playhead_secs;
        }
        self.state.shown = shown;
        if shown != Shown::Score {
            self.roll.show_take();
        }
        self.sync_player();
        let secs = if shown == Shown::Score { self.state.sound.score_playhead_secs } else { 0.0 };
        self.seek(secs);
    }

    pub(super) fn show_score(&mut self) {
        self.player.pause();
        self.state.takes.plays_all = false;
        self.show(Shown::Score);
        self.read_clock();
    }

    /// The end of what is shown was reached.
    pub(super) fn reached_end(&mut self) {
        let next = match self.state.shown {
            Shown::Take(id) if self.state.takes.plays_all => self.state.takes.neighbor(id, 1),
            _ => None,
        };
        if let Some(id) = next {
            self.show(Shown::Take(id));
            self.play();
        } else if self.state.preferences.repeats {
            self.seek(0.0);
            self.play();
        } else {
            self.state.takes.plays_all = false;
        }
    }

    pub(super) fn use_built_in_piano(&mut self) {
        self.state.preferences.font = None;
        self.export_font = None;
        self.risk(Risk::LoadFont(FontSource::BuiltIn));
    }
}

#[cfg(test)]
mod tests {
    use egui_kittest::kittest::Queryable as _;

    use super::super::tests::Window;
    use super::*;
    use crate::audio::PlayerEvent;
    use crate::ui::action::AppAction;
    use crate::ui::command::Command;
    use crate::ui::state::Notices;

    /// Where playing begins after a seek, with this loop, in seconds.
    fn begins_at(loop_secs: [f64; 2], from: f64) -> f64 {
        let mut window = Window::open();
        let app = window.app();
        let tempo_map = &app.state.document.history.score().tempo_map;
        let [start, end] = loop_secs.map(|secs| tempo_map.tick_from_secs(secs));
        window.act(AppAction::Sound(SoundAction::Loop(Some((start, end)))));
        window.harness.run_steps(2);
        window.act(AppAction::Sound(SoundAction::Seek(from)));
        window.act(AppAction::Run(Command::PlayPause));
        window.wait("it plays on", |app| {
            app.state.sound.is_playing && (app.state.sound.playhead_secs - from).abs() > 1e-3
        });
        let secs = window.app().state.sound.playhead_secs;
        window.app().player.pause();
        secs
    }

    #[test]
    fn play_at_the_end_begins_where_the_loop_does_and_in_its_silence_goes_on() {
        let end = crate::assets::first_score().duration_secs();
        let after = begins_at([1.0, end], end + 20.0);
        assert!((0.9..10.0).contains(&after), "{after}");
        // The loop has bars in which nothing is written yet.
        let silent = begins_at([0.0, end + 40.0], end + 10.0);
        assert!((end + 10.0..end + 30.0).contains(&silent), "{silent}");
    }

    #[test]
    fn as_long_as_nothing_can_be_heard_it_says_so_and_why() {
        let mut window = Window::open();
        let reason = "no sound card was found".to_owned();
        window.app().player_event(PlayerEvent::Silent { reason });
        window.app().state.notices = Notices::default();
        // In a narrow window as well.
        for width in [1280.0, 900.0] {
            window.harness.set_size(egui::vec2(width, 720.0));
            window.harness.run_steps(5);
            let told = window.harness.get_by_label_contains("No sound: no sound card was found");
            let told = told.rect();
            let slider =
                window.harness.get_by_role_and_label(egui::accesskit::Role::Slider, "Volume");
            let slider = slider.rect();
            assert!(told.width() > 200.0 && told.right() <= slider.left(), "{told:?} {slider:?}");
            assert!(slider.right() <= width, "{slider:?}");
        }
        let found = PlayerEvent::Device { name: "Headphones".to_owned(), sample_rate: 48_000 };
        window.app().player_event(found);
        window.harness.run_steps(3);
        assert!(!window.sees("No sound"));
    }
}
