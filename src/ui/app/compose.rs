//! Composing: choosing a model, making the prime, hearing frames as they come.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::App;
use super::risk::Risk;
use crate::model::{
    ComposeEvent, ComposeRequest, ComposeSettings, Model, ModelCard, Prime, ReadPrime, ReadingPlan,
    Take,
};
use crate::music::{Pitch, Score};
use crate::studio::{JobId, Request};
use crate::tokens::{Grid, PianoRoll, Playback, Touch, score_from_roll};
use crate::ui::dialogs::Purpose;
use crate::ui::state::{
    Document, Live, LoadedModel, ModelChoice, Pace, PrimeKind, Provenance, Shown, TakeEntry,
    WaitsFor,
};
use crate::ui::tasks::Answer;
use crate::ui::widgets::{counted, file_name};

impl App {
    pub(super) fn choose_model(&mut self, choice: ModelChoice) {
        self.state.preferences.compose.model = choice;
        self.load_chosen_model();
        if self.state.composing.waits_for == Some(WaitsFor::Model) {
            // This one may be there already.
            self.compose();
        }
    }

    /// Loads the chosen model ahead of time, so that the first notes come at once.
    pub(super) fn load_chosen_model(&mut self) {
        let choice = &self.state.preferences.compose.model;
        let composing = &mut self.state.composing;
        composing.model_error = None;
        if composing.loading.as_ref().is_some_and(|(_, coming)| coming == choice) {
            return;
        }
        composing.loading = None;
        if *choice != ModelChoice::InTraining && composing.model(choice).is_none() {
            self.reload_chosen_model();
        }
    }

    /// Loads the chosen model, be it in memory or on its way there: that may be what it was.
    fn reload_chosen_model(&mut self) {
        self.n_loads += 1;
        let (number, choice) = (self.n_loads, self.state.preferences.compose.model.clone());
        self.state.composing.loading = Some((number, choice.clone()));
        self.tasks.spawn("loading a model", move || {
            let mut notes = Vec::new();
            let result = match &choice {
                ModelChoice::Run(path) => {
                    Model::load_noting(path, &mut |note| notes.push(note.to_owned()))
                }
                _ => Model::starter(),
            };
            let loaded = |model| LoadedModel { choice, model, notes };
            let result = result.map(loaded).map_err(|error| error.to_string());
            Answer::ModelLoaded { number, result }
        });
    }

    pub(super) fn model_loaded(&mut self, number: u64, result: Result<LoadedModel, String>) {
        let composing = &mut self.state.composing;
        if composing.loading.take_if(|(coming, _)| *coming == number).is_none() {
            // Another was chosen since, or it has learned on.
            return;
        }
        match result {
            Ok(loaded) => {
                for note in &loaded.notes {
                    self.state.notices.note_once(note.clone());
                }
                composing.keep_chosen(loaded);
                composing.model_error = None;
            }
            Err(error) => composing.model_error = Some(error),
        }
        if composing.waits_for.take_if(|it| *it == WaitsFor::Model).is_some() {
            self.compose();
        }
    }

    /// A run may have a better model now than the one of it that is in memory. That composes until
    /// the new one is there.
    pub(super) fn run_has_learned(&mut self, run_dir: &Path) {
        let run = ModelChoice::Run(run_dir.to_owned());
        if self.state.preferences.compose.model == run {
            self.reload_chosen_model();
        } else {
            self.state.composing.models.retain(|loaded| loaded.choice != run);
        }
    }

    pub(super) fn compose(&mut self) {
        self.state.composing.error = None;
        let model = match self.model_to_compose() {
            Ok(Some(model)) => model,
            Ok(None) => {
                self.state.composing.waits_for = Some(WaitsFor::Model);
                self.load_chosen_model();
                return;
            }
            Err(error) => return self.composing_failed(error),
        };
        let prime = match self.prime(model.card()) {
            Ok(Some(prime)) => prime,
            // A file is being asked for or read.
            Ok(None) => return,
            Err(error) => return self.composing_failed(error),
        };
        if self.state.preferences.compose.is_seed_fresh {
            self.draw_seed();
        }
        let form = &self.state.preferences.compose;
        let tempo = prime.quarters_per_second.unwrap_or_else(|| self.state.quarters_per_second());
        let playback = form.playback(model.card(), tempo);
        let settings = form.settings(prime, &playback, self.state.score_place());
        let composition = self.composition(model, settings, playback);
        self.ask_to_compose(composition);
    }

    /// The chosen model; `None` while it is being loaded.
    fn model_to_compose(&self) -> Result<Option<Model>, String> {
        let choice = &self.state.preferences.compose.model;
        let composing = &self.state.composing;
        match choice {
            ModelChoice::InTraining => match &self.state.training.newest {
                Some(newest) => Ok(Some(newest.model.clone())),
                None if self.state.training.job.is_some() => Err(
                    "Nothing can compose yet — the run has no weights before its first epoch is \
                     done. Wait for it, or choose another model"
                        .to_owned(),
                ),
                None => Err(
                    "Nothing can compose yet — no run has been trained. Press Train, or choose \
                     another model"
                        .to_owned(),
                ),
            },
            _ => match (composing.model(choice), &composing.model_error) {
                (Some(model), _) => Ok(Some(model.clone())),
                (None, Some(error)) => Err(error.clone()),
                (None, None) => Ok(None),
            },
        }
    }

    /// What the dice draws counts for every take from now on.
    pub(super) fn draw_seed_to_keep(&mut self) {
        self.draw_seed();
        self.state.preferences.compose.is_seed_fresh = false;
    }

    fn draw_seed(&mut self) {
        let seed = self.fresh_seed(self.state.preferences.compose.seed);
        self.state.preferences.compose.seed = seed;
    }

    /// A new seed from the clock and the last one; any number will do as long as it is shown.
    pub(super) fn fresh_seed(&self, last: u64) -> u64 {
        let nanos = (self.clock)()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        (nanos ^ last.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) % 1_000_000
    }

    /// What the composition starts from; `None` while a file is asked for or read.
    fn prime(&mut self, card: &ModelCard) -> Result<Option<ReadPrime>, String> {
        let plan = &card.reading_plan();
        let form = &self.state.preferences.compose;
        let frames =
            (form.prime_secs * plan.music.frames.rate.per_second()).round().max(1.0) as usize;
        let prime = match form.prime {
            PrimeKind::Silence => Prime::Silence,
            PrimeKind::Random => Prime::Random,
            PrimeKind::Pitch => {
                let pitch = Pitch::new(form.prime_pitch).unwrap_or(Pitch::MIDDLE_C);
                Prime::Chords(vec![[pitch].into_iter().collect()])
            }
            PrimeKind::Chord => Prime::Chords(vec![form.chord()?]),
            PrimeKind::Score => {
                let secs = self.state.score_playhead_secs();
                let read = score_prime(&self.state.document, secs, plan)?;
                // It goes on in the tempo at the playhead, not in that of all before.
                return Ok(Some(ReadPrime { quarters_per_second: None, ..read }));
            }
            PrimeKind::File => {
                let Some(path) = form.prime_file.clone() else {
                    self.ask(Purpose::PrimeFile);
                    return Ok(None);
                };
                match &self.state.composing.prime_score {
                    Some((read, score)) if *read == path => {
                        let opening = Prime::read(score, plan, frames);
                        return opening.map(Some).map_err(|error| error.to_string());
                    }
                    _ => {
                        self.read_prime(path);
                        return Ok(None);
                    }
                }
            }
        };
        Ok(Some(ReadPrime { prime, ..ReadPrime::default() }))
    }

    fn read_prime(&mut self, path: PathBuf) {
        self.state.composing.waits_for = Some(WaitsFor::Prime(path.clone()));
        self.tasks.spawn("reading a prime", move || {
            let result = crate::music::smf::read_file(&path)
                .map(|import| import.score)
                .map_err(|error| format!("{} can't be the beginning — {error}", path.display()));
            Answer::PrimeRead { path, result }
        });
    }

    pub(super) fn prime_read(&mut self, path: PathBuf, result: Result<Score, String>) {
        let composing = &mut self.state.composing;
        let waits = composing.waits_for.take_if(|it| *it == WaitsFor::Prime(path.clone()));
        match result {
            Ok(score) => {
                composing.prime_score = Some((path, Arc::new(score)));
                if waits.is_some() {
                    self.compose();
                }
            }
            Err(error) if waits.is_some() => self.composing_failed(error),
            // It was stopped, or another file was chosen.
            Err(_) => {}
        }
    }

    /// What the form asks for.
    fn composition(
        &self,
        model: Model,
        settings: ComposeSettings,
        playback: Playback,
    ) -> Composition {
        let form = &self.state.preferences.compose;
        let run = match &form.model {
            ModelChoice::Starter => None,
            ModelChoice::InTraining => {
                self.state.training.newest.as_ref().map(|newest| newest.run_dir.clone())
            }
            ModelChoice::Run(path) => Some(path.clone()),
        };
        let provenance = Provenance {
            model: model_in_words(run.as_deref(), model.card()),
            run,
            epoch: model.card().epoch,
            steps_into_epoch: model.card().steps_into_epoch,
            settings: settings.clone(),
            continues_score: form.prime == PrimeKind::Score,
            made_at: self.now_secs(),
        };
        Composition { request: ComposeRequest { model, settings }, playback, provenance }
    }

    /// Composes once unsaved work is kept. Until then a second press has nothing to press.
    pub(super) fn ask_to_compose(&mut self, composition: Composition) {
        self.state.composing.waits_for = Some(WaitsFor::Keeping);
        self.risk(Risk::Compose(Box::new(composition)));
    }

    pub(super) fn begin_composing(&mut self, composition: Composition) {
        let Composition { request, playback, provenance } = composition;
        let settings = &request.settings;
        let n_prime_frames = settings.prime.n_frames();
        let n_wanted = settings.frames * settings.takes;
        let job = self.studio.submit(Request::Compose(request));
        self.state.composing.waits_for = None;
        self.state.composing.live = Some(Live {
            job,
            rolls: vec![PianoRoll::new()],
            touch: None,
            score: Arc::new(Score::default()),
            playback,
            n_prime_frames,
            n_wanted,
            n_searched: 0,
            provenance,
            is_stopping: false,
            has_started_sounding: false,
            pace: Pace::default(),
        });
        self.state.preferences.has_composed = true;
    }

    pub(super) fn stop_composing(&mut self) {
        let composing = &mut self.state.composing;
        composing.waits_for = None;
        if let Some(live) = &mut composing.live {
            live.is_stopping = true;
            self.studio.cancel(live.job);
        }
        self.forget_risks(|risk| matches!(risk, Risk::Compose(_)));
    }

    /// One event of the composer. Returns whether the streamed score must be rebuilt; that is done
    /// once a frame of the window, however many events came.
    pub(super) fn compose_event(&mut self, job: JobId, event: ComposeEvent<'_>) -> bool {
        let Some(live) = self.state.composing.live.as_mut().filter(|live| live.job == job) else {
            return false;
        };
        match event {
            ComposeEvent::Frames { take, first, chords, touch } => {
                live.add_frames(take, first, &chords, touch.as_deref())
            }
            ComposeEvent::Note(note) => {
                self.state.notices.note(note);
                false
            }
            ComposeEvent::Searched { frames } => {
                live.n_searched = frames;
                false
            }
            // Every take comes again with the end of the job.
            ComposeEvent::Take { .. } => false,
        }
    }

    pub(super) fn has_frames_waiting(&self) -> bool {
        self.state.composing.live.as_ref().is_some_and(|live| live.pace.is_behind)
    }

    /// New frames have come: they are streamed now, or in the frame of the window that comes when
    /// the score has rested enough.
    pub(super) fn stream_when_due(&mut self, ctx: &egui::Context) {
        let Some(live) = &mut self.state.composing.live else { return };
        live.pace.is_behind = true;
        let rest = live.pace.rest(Instant::now());
        if rest.is_zero() {
            self.stream();
        } else {
            ctx.request_repaint_after(rest);
        }
    }

    /// New frames are shown, and heard as soon as the first of them is there.
    pub(super) fn stream(&mut self) {
        let began = Instant::now();
        let Some(live) = &mut self.state.composing.live else { return };
        live.rebuild_score();
        self.sound_stream();
        // The player's schedule is part of the cost.
        self.sync_player();
        if let Some(live) = &mut self.state.composing.live {
            live.pace.caught_up(began, Instant::now());
        }
    }

    /// Begins to play what is streamed, once.
    fn sound_stream(&mut self) {
        let Some(live) = &mut self.state.composing.live else { return };
        if live.score.notes().is_empty() || live.has_started_sounding {
            return;
        }
        live.has_started_sounding = true;
        // What the score has already need not be heard again before what is new.
        let starts_at = if live.provenance.continues_score { live.n_prime_frames } else { 0 };
        let secs = starts_at as f64 / live.playback.rate.per_second();
        self.player.pause();
        self.state.takes.plays_all = false;
        self.show(Shown::Live);
        self.sync_player();
        self.player.seek(secs);
        self.player.set_open_ended(true);
        self.player.play();
        self.read_clock();
    }

    pub(super) fn composed(&mut self, takes: Vec<Take>) {
        let Some(live) = self.state.composing.live.take() else { return };
        self.player.set_open_ended(false);
        let takes: Vec<Take> =
            takes.into_iter().filter(|take| take.roll.len() > take.n_prime_frames).collect();
        let n_takes = takes.len();
        let (mut first, mut thin) = (None, None);
        for take in takes {
            let id = self.state.takes.next_id(&self.data_dir);
            let name = format!("Take {}", id.0);
            let (playback, provenance) = (live.playback, live.provenance.clone());
            let entry = TakeEntry::new(id, name, take, playback, provenance);
            self.keep_take(&entry);
            thin = thin.or_else(|| {
                let words = entry.near_silence_words()?;
                Some(format!("{} {words}", entry.name))
            });
            self.state.takes.list.push(entry);
            first = first.or(Some(id));
        }
        let Some(first) = first else {
            self.show_score();
            self.state.notices.note("Composing stopped before anything was written");
            return;
        };
        // The first take is what was streamed: it plays on where it is.
        if self.state.shown == Shown::Live {
            self.state.shown = Shown::Take(first);
            self.roll.show_take();
        } else if !live.has_started_sounding {
            self.show(Shown::Take(first));
            self.play();
        }
        if let Some(words) = thin {
            return self.state.notices.note(words);
        }
        let what = counted(n_takes, "take", "takes");
        let how = match live.is_stopping {
            true => format!("Stopped: what was composed is kept as {what}"),
            false => format!("Composed {what}"),
        };
        let done = format!("{how}. Rate what you hear, or press Use");
        match self.state.shown {
            // Its name and Use stand above the notes, which nothing need cover.
            Shown::Take(_) => self.state.notices.done_quietly(done),
            Shown::Score | Shown::Live => self.state.notices.done(done),
        }
    }

    pub(super) fn composing_failed(&mut self, error: String) {
        self.player.set_open_ended(false);
        if self.state.composing.live.take().is_some() && self.state.shown == Shown::Live {
            self.state.shown = Shown::Score;
            self.show_score();
        }
        self.state.composing.waits_for = None;
        self.state.composing.error = Some(error.clone());
        self.state.preferences.shows_compose = true;
        self.state.notices.error_elsewhere(error);
    }
}

/// A composition that was asked for.
pub(super) struct Composition {
    pub request: ComposeRequest,
    pub playback: Playback,
    pub provenance: Provenance,
}

/// The name of a model's run with its shape, which most of these names tell already.
pub(super) fn model_in_words(run: Option<&Path>, card: &ModelCard) -> String {
    let name = run.map_or_else(|| "Starter".to_owned(), file_name);
    named_with_shape(&name, card.kind().label(), card.layers, card.hidden)
}

fn named_with_shape(name: &str, kind: &str, layers: usize, hidden: usize) -> String {
    match name.contains(&format!("{kind} {layers}x{hidden}")) {
        true => name.to_owned(),
        false => format!("{name} ({kind} {layers}×{hidden})"),
    }
}

/// The score up to the playhead, as much of it as a model reads with profit.
///
/// What was composed here is read a composed frame at a time, so that the model goes on in its own
/// pace; anything else, and everything by a model that plays in its own time, at the rate the model
/// learned.
pub(super) fn score_prime(
    document: &Document,
    secs: f64,
    plan: &ReadingPlan,
) -> Result<ReadPrime, String> {
    let score = document.history.score();
    let tick = score.tempo_map.tick_from_secs(secs);
    let read = match (document.composed_rate(), plan.music.touch) {
        (Some(_), Touch::Ignored) => {
            // At the usual rate a sixteenth is an eighth of a second to the last bit, so that no
            // rounding moves a note to the frame beside its own.
            let playback = Playback::default();
            let mut exact = Score::clone(score);
            exact.tempo_map = score_from_roll(&[], &playback).tempo_map;
            let mut plan = *plan;
            plan.music.frames.rate = playback.rate;
            plan.music.frames.grid = Grid::Seconds;
            Prime::read_until(&exact, tick, &plan)
        }
        _ => Prime::read_until(score, tick, plan),
    };
    let read = read.map_err(|error| error.to_string())?;
    // What is left out is whole bars, so that the model knows where in the bar it is.
    let per_bar = read.frames_per_bar.unwrap_or(NonZeroU32::MIN);
    let prime = read.prime.ending_with_bars(Prime::CONTEXT_FRAMES, per_bar);
    if prime.n_frames() == 0 {
        return Err("There is nothing to continue — no note stands before the playhead. Move it \
                    to the right in the ruler"
            .to_owned());
    }
    Ok(ReadPrime { prime, ..read })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::editor::ScoreEdit;
    use crate::music::{Note, PedalSpan, TempoMap, Tick, Velocity};
    use crate::tokens::{Chord, FrameRate, FramingPlan, KeyFrame, PerformancePlan};

    #[test]
    fn a_model_says_its_shape_once() {
        let run = "2026-11-22 20-03-26 LSTM 2x512";
        assert_eq!(named_with_shape(run, "LSTM", 2, 512), run);
        assert_eq!(named_with_shape("Starter", "LSTM", 2, 512), "Starter (LSTM 2×512)");
        assert_eq!(named_with_shape("my GRU", "GRU", 1, 64), "my GRU (GRU 1×64)");
    }

    fn reading(frames: FramingPlan, touch: Touch) -> ReadingPlan {
        ReadingPlan { music: PerformancePlan { frames, touch }, frames_per_bar: None }
    }

    fn off_on() -> ReadingPlan {
        reading(FramingPlan::default(), Touch::Ignored)
    }

    fn chord(number: u8) -> Chord {
        Pitch::new(number).into_iter().collect()
    }

    #[test]
    fn what_was_composed_is_read_a_frame_at_a_time() {
        let chords = [60, 62, 64, 65, 67, 69, 71, 72];
        let roll: PianoRoll = chords.map(chord).to_vec();
        // Seven frames a second: a sixteenth that no whole number of microseconds tells exactly.
        let rate = FrameRate::new(7.0).unwrap();
        let take = score_from_roll(&roll, &Playback { rate, ..Playback::default() });
        let mut document = Document::new(Score::default(), None);
        let edit = ScoreEdit::ReplaceScore { score: Box::new(take), label: "Use".to_owned() };
        document.commit(&edit).unwrap();
        let plan = off_on();
        let prime = |document: &Document, frames: f64| {
            score_prime(document, frames / 7.0 + 0.001, &plan).unwrap().prime
        };
        // From elsewhere: two frames a second.
        assert_ne!(prime(&document, 8.0), Prime::Chords(roll.clone()));
        document.set_composed_rate(Some(rate));
        assert_eq!(prime(&document, 8.0), Prime::Chords(roll.clone()));
        // An edit keeps it, undo takes it back to where nothing was composed.
        let note = document.history.score().notes()[7];
        document.commit(&ScoreEdit::Delete { notes: vec![note] }).unwrap();
        assert_eq!(prime(&document, 8.0), Prime::Chords(roll[..7].to_vec()));
        document.undo();
        document.undo();
        assert_eq!(document.composed_rate(), None);
    }

    #[test]
    fn what_was_composed_begins_at_a_bar_line() {
        let mut plan = off_on();
        plan.frames_per_bar = NonZeroU32::new(3);
        let mut roll = vec![Chord::REST; 4];
        roll.extend([chord(60), chord(62)]);
        let playback = Playback::default();
        let take = score_from_roll(&roll, &playback);
        let mut document = Document::new(take, None);
        document.set_composed_rate(Some(playback.rate));
        // The first frame with a note is the second of its bar.
        let expected = vec![Chord::REST, chord(60), chord(62)];
        assert_eq!(score_prime(&document, 9.0, &plan).unwrap().prime, Prime::Chords(expected));
    }

    #[test]
    fn with_touch_the_score_is_read_in_its_own_time_with_its_velocities_and_pedal() {
        let note = |start, velocity| Note {
            start: Tick(start),
            length: Tick(240),
            pitch: Pitch::MIDDLE_C,
            velocity: Velocity::new(velocity).unwrap(),
            part: 0,
        };
        let mut score = Score::piano(TempoMap::default(), vec![note(0, 30), note(240, 90)]);
        score.pedal = vec![PedalSpan { start: Tick(240), end: Tick(480), part: 0 }];
        let mut document = Document::new(score, None);
        document.set_composed_rate(Some(FrameRate::OUTPUT_DEFAULT));
        let rate = FrameRate::new(8.0).unwrap();
        let frames = FramingPlan { rate, ..FramingPlan::default() };
        let plan = reading(frames, Touch::Kept);
        let Prime::Played(frames) = score_prime(&document, 9.0, &plan).unwrap().prime else {
            panic!("a prime with touch")
        };
        let told = |frame: &KeyFrame| {
            (frame.velocities.first().map(|velocity| velocity.number()), frame.pedal)
        };
        let told: Vec<_> = frames.iter().map(told).collect();
        assert_eq!(told, [(Some(30), false), (None, false), (Some(90), true), (None, true)]);
    }

    #[test]
    fn the_score_before_the_playhead_ends_there() {
        let note = |start, length| Note {
            start: Tick(start),
            length: Tick(length),
            pitch: Pitch::MIDDLE_C,
            velocity: Velocity::COMPOSED,
            part: 0,
        };
        let score = Score::piano(TempoMap::default(), vec![note(0, 480), note(960, 960)]);
        let document = Document::new(score, None);
        let plan = off_on();
        let n_frames = |secs| {
            let read = score_prime(&document, secs, &plan);
            read.map_or(0, |read| read.prime.n_frames())
        };
        // A quarter is half a second, which is one frame.
        assert_eq!((n_frames(0.0), n_frames(0.5), n_frames(1.5), n_frames(9.0)), (0, 1, 3, 4));
    }
}
