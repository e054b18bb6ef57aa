//! What is to be composed, as the form at the right holds it, and what is being composed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Provenance, TakeId};
use crate::model::{
    ComposeSettings, Guard, Model, ModelCard, ReadPrime, Stage, Strategy, WeightFormat,
};
use crate::music::{Pitch, Score, Tick, Velocity};
use crate::studio::JobId;
use crate::tokens::{
    Articulation, Chord, FrameRate, KeyFrame, PianoRoll, Playback, StepsPerQuarter, played_score,
};

/// Who composes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelChoice {
    #[default]
    Starter,
    /// The newest weights of the run that is being trained, or was trained last.
    InTraining,
    Run(PathBuf),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyKind {
    Max,
    #[default]
    Sample,
    Beam,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrimeKind {
    #[default]
    Silence,
    Pitch,
    Chord,
    File,
    Score,
    Random,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LengthUnit {
    #[default]
    Bars,
    Seconds,
}

/// The fields at the right. Numbers are kept inside the limits of the widgets that edit them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ComposeForm {
    pub model: ModelChoice,
    pub strategy: StrategyKind,
    pub temperature: f64,
    pub top_k: Option<usize>,
    pub top_p: Option<f64>,
    pub beam_width: usize,
    pub length_penalty: f64,
    pub longest_hold_secs: Option<f64>,
    pub no_repeat: Option<usize>,
    pub prime: PrimeKind,
    pub prime_pitch: u8,
    pub prime_chord: String,
    pub prime_file: Option<PathBuf>,
    /// How much of a file's opening, in seconds.
    pub prime_secs: f64,
    pub unit: LengthUnit,
    pub bars: f64,
    pub secs: f64,
    /// Output rate, frames a second.
    pub rate: f64,
    /// Whether music with touch is played as fast as it was learned, whatever the rate.
    pub is_own_time: bool,
    pub articulation: Articulation,
    pub weights: WeightFormat,
    pub seed: u64,
    /// Whether Compose draws a new seed each time.
    pub is_seed_fresh: bool,
    pub takes: usize,
}

impl Default for ComposeForm {
    fn default() -> Self {
        Self {
            model: ModelChoice::Starter,
            strategy: StrategyKind::Sample,
            temperature: 0.97,
            top_k: None,
            top_p: None,
            beam_width: 10,
            length_penalty: 1.0,
            longest_hold_secs: Some(4.0),
            no_repeat: Some(8),
            prime: PrimeKind::Silence,
            prime_pitch: Pitch::MIDDLE_C.number(),
            prime_chord: "C4, E4, G4".to_owned(),
            prime_file: None,
            prime_secs: 16.0,
            unit: LengthUnit::Bars,
            bars: 16.0,
            secs: 32.0,
            rate: FrameRate::OUTPUT_DEFAULT.per_second(),
            is_own_time: true,
            articulation: Articulation::Held,
            weights: WeightFormat::default(),
            seed: 1,
            is_seed_fresh: true,
            takes: 1,
        }
    }
}

/// Where a score is gone on from.
#[derive(Clone, Copy)]
pub struct ScorePlace<'a> {
    pub score: &'a Score,
    pub tick: Tick,
}

impl ScorePlace<'_> {
    /// How long so many bars of the score last from here, behind its end too.
    fn secs_of_bars(&self, n_bars: f64) -> f64 {
        let tempo_map = &self.score.tempo_map;
        let end = self.after(n_bars);
        tempo_map.secs_from_tick(end) - tempo_map.secs_from_tick(self.tick)
    }

    fn after(&self, n_bars: f64) -> Tick {
        self.score.bar_grid().tick_after(self.tick, n_bars.min(ComposeForm::MAX_BARS))
    }

    /// Where so many bars from here end, in words that go on after a verb: “to the end of bar 8”.
    pub fn end_in_words(&self, n_bars: f64) -> String {
        let end = self.after(n_bars);
        let bar = self.score.bar_grid().bar_at(end);
        match bar.start == end && bar.number > 1 {
            true => format!("to the end of bar {}", bar.number - 1),
            false => format!("into bar {}", bar.number),
        }
    }
}

impl ComposeForm {
    /// Quarters of a bar in common time.
    const QUARTERS_PER_BAR: f64 = 4.0;
    /// Most bars of one take.
    pub const MAX_BARS: f64 = 2_000.0;
    /// Most frames of one take: as many as the composer accepts.
    pub const MAX_FRAMES: usize = ComposeSettings::MAX_FRAMES;

    pub fn rate(&self) -> FrameRate {
        FrameRate::new(self.rate).unwrap_or(FrameRate::OUTPUT_DEFAULT)
    }

    /// Frames of a take that is played so; `place` counts where the score is gone on from.
    pub fn frames(&self, playback: &Playback, place: ScorePlace<'_>) -> usize {
        let frames = match (self.unit, self.prime) {
            (LengthUnit::Bars, PrimeKind::Score) => {
                place.secs_of_bars(self.bars) * playback.rate.per_second()
            }
            (LengthUnit::Bars, _) => {
                let steps = playback.grid.steps_per_quarter();
                let per_quarter = steps.unwrap_or(StepsPerQuarter::SIXTEENTHS).get();
                self.bars * Self::QUARTERS_PER_BAR * f64::from(per_quarter)
            }
            (LengthUnit::Seconds, _) => self.secs * playback.rate.per_second(),
        };
        // A float to integer cast saturates, and NaN becomes 0.
        (frames.round() as usize).clamp(1, Self::MAX_FRAMES)
    }

    /// How what a model composes is played; the tempo counts for one that learned on the beat
    /// grid.
    pub fn playback(&self, card: &ModelCard, quarters_per_second: f64) -> Playback {
        let is_own_time = self.is_own_time && card.has_touch();
        let asked = (!is_own_time).then_some(self.rate());
        let (rate, grid) = card.playing(asked, quarters_per_second);
        Playback { rate, velocity: Velocity::COMPOSED, articulation: self.articulation, grid }
    }

    pub fn strategy(&self) -> Strategy {
        match self.strategy {
            StrategyKind::Max => Strategy::Max,
            StrategyKind::Sample => Strategy::Sample {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
            },
            StrategyKind::Beam => {
                Strategy::Beam { width: self.beam_width, length_penalty: self.length_penalty }
            }
        }
    }

    /// How many takes are made: those that are asked for, as far as the strategy has them.
    pub fn takes(&self) -> usize {
        self.takes.min(self.most_takes())
    }

    /// How many takes this strategy can make: `max` has one answer, `beam` at most its width.
    pub fn most_takes(&self) -> usize {
        match self.strategy {
            StrategyKind::Max => 1,
            StrategyKind::Sample => ComposeSettings::MAX_TAKES,
            StrategyKind::Beam => self.beam_width,
        }
    }

    pub fn settings(
        &self,
        start: ReadPrime,
        playback: &Playback,
        place: ScorePlace<'_>,
    ) -> ComposeSettings {
        let ReadPrime { prime, frames_per_bar, .. } = start;
        ComposeSettings {
            strategy: self.strategy(),
            guard: Guard { longest_hold_secs: self.longest_hold_secs, no_repeat: self.no_repeat },
            prime,
            frames_per_bar,
            frames: self.frames(playback, place),
            rate: playback.rate,
            takes: self.takes(),
            seed: self.seed,
            weights: self.weights,
        }
    }

    /// The chord of the text field: names of pitches parted by commas, spaces or plus signs.
    pub fn chord(&self) -> Result<Chord, String> {
        let names = self.prime_chord.split([',', ' ', '+', ';']).filter(|name| !name.is_empty());
        let chord = names.map(str::parse::<Pitch>).collect::<Result<Chord, _>>();
        match chord {
            Ok(chord) if chord.is_rest() => {
                Err("There is no pitch in the chord — write some, such as C4, E4, G4".to_owned())
            }
            Ok(chord) => Ok(chord),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A composition under way.
pub struct Live {
    pub job: JobId,
    /// The frames of each take so far.
    pub rolls: Vec<PianoRoll>,
    /// Those of the first once more with touch, where the model has it.
    pub touch: Option<Vec<KeyFrame>>,
    /// The take whose notes are shown: the first.
    pub score: Arc<Score>,
    pub playback: Playback,
    pub n_prime_frames: usize,
    /// Frames of all takes together, without primes.
    pub n_wanted: usize,
    /// How many frames a search knows of the likeliest phrases, be it that they agree on none.
    pub n_searched: usize,
    pub provenance: Provenance,
    pub is_stopping: bool,
    pub has_started_sounding: bool,
    pub pace: Pace,
}

/// How often the streamed score is made anew. That costs as much as the score is long, so doing
/// it for every frame would cost the square of the length; done in proportion to its own cost, it
/// takes at most a fifth of the window's time.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Pace {
    /// When the score was last made, and how long that took.
    last: Option<(Instant, Duration)>,
    /// Frames have come since.
    pub is_behind: bool,
}

impl Pace {
    /// Nobody sees more pictures a second.
    const LEAST: Duration = Duration::from_millis(50);

    /// How long from `now` the score shall rest; zero if it may be made now.
    pub fn rest(&self, now: Instant) -> Duration {
        let Some((at, took)) = self.last else { return Duration::ZERO };
        let due = Self::LEAST.max(took.saturating_mul(4));
        due.saturating_sub(now.saturating_duration_since(at))
    }

    /// The score was made from all frames, from one time to another.
    pub fn caught_up(&mut self, began: Instant, ended: Instant) {
        self.last = Some((ended, ended.saturating_duration_since(began)));
        self.is_behind = false;
    }
}

impl Live {
    /// Frames of a take as they come. Returns whether the score that is shown has changed.
    pub fn add_frames(
        &mut self,
        take: usize,
        first: usize,
        chords: &[Chord],
        touch: Option<&[KeyFrame]>,
    ) -> bool {
        if take >= self.rolls.len() {
            self.rolls.resize(take + 1, PianoRoll::new());
        }
        let roll = &mut self.rolls[take];
        roll.resize(first, Chord::REST);
        roll.extend_from_slice(chords);
        if let (0, Some(touch)) = (take, touch) {
            let whole = self.touch.get_or_insert_default();
            whole.resize(first, KeyFrame::default());
            whole.extend_from_slice(touch);
        }
        take == 0
    }

    pub fn rebuild_score(&mut self) {
        if let Some(roll) = self.rolls.first() {
            self.score = Arc::new(played_score(roll, self.touch.as_deref(), &self.playback));
        }
    }

    /// The share that is composed, 0–1.
    pub fn progress(&self) -> f32 {
        let composed = |roll: &PianoRoll| roll.len().saturating_sub(self.n_prime_frames);
        let (done, wanted) = match self.n_searched {
            0 => (self.rolls.iter().map(composed).sum(), self.n_wanted),
            // One search finds all takes.
            searched => (searched, self.provenance.settings.frames),
        };
        (done as f32 / wanted.max(1) as f32).min(1.0)
    }
}

/// What a composition that was asked for waits for. One is asked for at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WaitsFor {
    /// The chosen model is being loaded.
    Model,
    /// The file that it is to begin with is being read.
    Prime(PathBuf),
    /// The model of a take that is to be composed again is being loaded.
    ModelOf(TakeId),
    /// Unsaved work is kept first.
    Keeping,
}

/// A model in memory.
pub struct LoadedModel {
    pub choice: ModelChoice,
    pub model: Model,
    /// What was noticed on the way: that another checkpoint is used, say.
    pub notes: Vec<String>,
}

#[derive(Default)]
pub struct Composing {
    pub live: Option<Live>,
    /// Models that are in memory to be chosen: the starter and the run that was chosen last.
    pub models: Vec<LoadedModel>,
    /// What the take was composed by that was composed again last, unless it is one of these.
    pub again: Option<LoadedModel>,
    /// The model that is being loaded to be the chosen one, with the number of its loading.
    pub loading: Option<(u64, ModelChoice)>,
    /// A composition was asked for and isn't begun.
    pub waits_for: Option<WaitsFor>,
    /// Why the chosen model can't compose.
    pub model_error: Option<String>,
    /// A file chosen as prime, once it is read.
    pub prime_score: Option<(PathBuf, Arc<Score>)>,
    pub error: Option<String>,
}

impl Composing {
    /// Whether something is composed or soon will be.
    pub fn is_busy(&self) -> bool {
        self.live.is_some() || self.waits_for.is_some()
    }

    pub fn model(&self, choice: &ModelChoice) -> Option<&Model> {
        self.loaded(choice).map(|loaded| &loaded.model)
    }

    pub fn loaded(&self, choice: &ModelChoice) -> Option<&LoadedModel> {
        self.models.iter().find(|loaded| loaded.choice == *choice)
    }

    /// The weights of a stage that some model learned to, if they are in memory.
    pub fn model_of_stage(&self, choice: &ModelChoice, stage: Stage) -> Option<&Model> {
        let mut loaded = self.models.iter().chain(&self.again);
        let is_it = |it: &&LoadedModel| it.choice == *choice && it.model.card().stage() == stage;
        loaded.find(is_it).map(|loaded| &loaded.model)
    }

    /// Keeps the starter and the run that was chosen last; weights are large.
    pub fn keep_chosen(&mut self, chosen: LoadedModel) {
        let is_other = |choice: &ModelChoice| *choice != chosen.choice;
        self.models.retain(|it| it.choice == ModelChoice::Starter && is_other(&it.choice));
        self.models.push(chosen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Meter, MeterChange, TempoChange, TempoMap};

    #[test]
    fn lengths_stay_within_reason() {
        let mut form = ComposeForm::default();
        let playback = Playback::default();
        let score = Score::default();
        let place = ScorePlace { score: &score, tick: Tick::ZERO };
        assert_eq!(form.frames(&playback, place), 256);
        form.unit = LengthUnit::Seconds;
        form.secs = 2.5;
        assert_eq!(form.frames(&playback, place), 20);
        for secs in [f64::NAN, -1.0, 0.0] {
            form.secs = secs;
            assert_eq!(form.frames(&playback, place), 1);
        }
        form.secs = f64::INFINITY;
        assert_eq!(form.frames(&playback, place), ComposeForm::MAX_FRAMES);
        assert!(form.settings(ReadPrime::default(), &playback, place).validate().is_ok());
    }

    #[test]
    fn bars_behind_a_score_are_those_of_the_score() {
        // Three quarters at 90 a minute: a bar lasts two seconds.
        let mut score = Score::default();
        let quarter = score.tempo_map.ticks_per_quarter();
        let tempo = TempoChange::from_quarters_per_minute(Tick::ZERO, 90.0);
        score.tempo_map = TempoMap::new(quarter, vec![tempo]);
        let meter = Meter { numerator: 3, denominator_power: 2 };
        score.meters = vec![MeterChange { tick: Tick::ZERO, meter }];
        let bar = meter.ticks_per_bar(quarter);
        let place = ScorePlace { score: &score, tick: Tick(5 * bar) };
        let mut form = ComposeForm { bars: 4.0, ..ComposeForm::default() };
        let playback = Playback { rate: FrameRate::new(16.0).unwrap(), ..Playback::default() };
        assert_eq!(form.frames(&playback, place), 64);
        form.prime = PrimeKind::Score;
        assert_eq!(form.frames(&playback, place), 8 * 16);
        assert_eq!(place.end_in_words(4.0), "to the end of bar 9");
        assert_eq!(place.end_in_words(4.5), "into bar 10");
        form.bars = f64::INFINITY;
        assert_eq!(form.frames(&playback, place), 2_000 * 2 * 16);
        form.unit = LengthUnit::Seconds;
        form.secs = 3.0;
        assert_eq!(form.frames(&playback, place), 3 * 16);
    }

    #[test]
    fn chords_are_read_as_musicians_write_them() {
        let chord = |text: &str| {
            ComposeForm { prime_chord: text.to_owned(), ..ComposeForm::default() }.chord()
        };
        assert_eq!(chord("C4, E4,G4"), chord("c4 e4+g4"));
        assert_eq!(chord("C4,E4,G4").unwrap().len(), 3);
        assert!(chord("").is_err());
        assert!(chord("C4, X9").unwrap_err().contains("X9"));
    }

    #[test]
    fn a_streamed_score_is_made_less_often_the_longer_it_takes() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut pace = Pace::default();
        assert_eq!(pace.rest(start), Duration::ZERO, "the first frames are heard at once");
        pace.is_behind = true;
        pace.caught_up(start, start + ms(2));
        assert!(!pace.is_behind);
        assert_eq!(pace.rest(start + ms(12)), ms(40));
        assert_eq!(pace.rest(start + ms(52)), Duration::ZERO);
        pace.caught_up(start, start + ms(100));
        assert_eq!(pace.rest(start + ms(100)), ms(400));
        assert_eq!(pace.rest(start + ms(600)), Duration::ZERO);
    }

    #[test]
    fn strategies_make_the_takes_they_can() {
        let mut form = ComposeForm { takes: 20, beam_width: 4, ..ComposeForm::default() };
        assert_eq!(form.takes(), 20);
        form.strategy = StrategyKind::Beam;
        assert_eq!(form.takes(), 4);
        form.strategy = StrategyKind::Max;
        assert_eq!(form.takes(), 1);
    }
}
