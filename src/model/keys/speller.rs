//! Spelling one frame after the other, for composing: on the CPU, any number of hypotheses.
//!
//! What is asked of a hypothesis gives the same numbers to the last bit whatever others there are;
//! so does what it reads, unless several read together.

mod together;

use std::num::NonZeroU32;
use std::sync::Arc;

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, relu};

use self::together::{State, joined, parted, parts};
use super::asking::{Asking, Rows};
use super::batch::{KeyBatch, rows_of_tensor};
use super::config::{KEYS, KeyConfig, VELOCITIES};
use super::features::{self, Frame, Keys, LASTING_WIDTH, PEDAL_WIDTH, STRIKE_WIDTH};
use super::heard::{Heard, HeardOfKeys};
use super::loss::{add_tops, read};
use super::network::KeyNetwork;
use super::slides::Slides;
use super::touch;
use crate::model::fused::simd::Level;
use crate::model::kernels::Kernels;
use crate::model::weights::numbers;
use crate::music::Velocity;
use crate::tokens::{Chord, KeyFrame, KeyRun};

/// Reads frames and spells what may come next.
pub struct Speller {
    network: KeyNetwork<Flex>,
    /// `[lower_width, S]`, row by row.
    lower: Vec<f32>,
    asking: Asking,
    kernels: Kernels<Flex>,
    slides: Option<Slides>,
    /// After so many frames the clock begins again; none where it goes on and on.
    bar: Option<u32>,
    hypotheses: Vec<Hypothesis>,
}

#[derive(Clone)]
struct Hypothesis {
    /// Frames of the music.
    n_read: u32,
    /// What it read last.
    before: KeyRun,
    state: State,
    told: Told,
}

/// What is known of a frame before any of its keys.
#[derive(Clone)]
struct Told {
    /// What every key is told but for the lower keys of its own frame, `[KEYS, S]`.
    keys: Arc<Vec<f32>>,
    /// None without touch.
    touch: Option<ToldOfTouch>,
}

/// The same for velocities, `[KEYS, U]`, for the pedal and for the length, `[1, U]` each.
#[derive(Clone)]
struct ToldOfTouch {
    velocity: Tensor<Flex, 2>,
    pedal: Tensor<Flex, 2>,
    length: Tensor<Flex, 2>,
}

/// What is asked of whoever spells.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Decision {
    /// 0 is the lowest of the piano.
    pub key: usize,
    pub question: Question,
    /// That the answer is yes, given all answers before.
    pub log_odds: f32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    Sounds,
    /// Of a key that sounded in the frame before and goes on: whether it is struck again. Only of
    /// the alphabet that has touch.
    StruckAgain,
}

/// A frame whose keys were spelled.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spelled {
    pub chord: Chord,
    /// Which of them were struck; none without touch.
    pub struck: Chord,
    /// Natural logarithm of its probability under the network.
    pub log_probability: f64,
}

/// A frame spelled up to some key.
#[derive(Clone)]
struct Prefix {
    sounding: Keys,
    struck: Keys,
    log_probability: f64,
    /// Whether the keys so far are those of a chord that isn't looked for.
    is_like: bool,
    /// What every key is told, of the lower ones so far too. Beginnings that go on in the same way
    /// share it.
    told: Arc<Vec<f32>>,
}

/// What may be said of a key, with its probability.
struct Answer {
    sounds: bool,
    is_struck: bool,
    log_probability: f64,
}

impl Speller {
    pub fn new(network: &KeyNetwork<Flex>) -> Self {
        Self::with_kernels(network, Kernels::new())
    }

    pub(super) fn with_kernels(network: &KeyNetwork<Flex>, kernels: Kernels<Flex>) -> Self {
        let level = kernels.fused_level().unwrap_or(Level::Baseline);
        let mut speller = Self {
            lower: numbers(network.speller.lower.clone().into_data()),
            asking: Asking::new(&network.speller, level),
            network: network.clone(),
            slides: Slides::of(network, &kernels),
            kernels,
            bar: None,
            hypotheses: Vec::new(),
        };
        speller.start(1);
        speller
    }

    /// The same for music whose bars have so many frames, of which the first is at a bar line.
    pub fn with_bars(self, n_frames: Option<NonZeroU32>) -> Self {
        Self { bar: n_frames.map(NonZeroU32::get), ..self }
    }

    /// Forgets everything and holds `n` hypotheses that have read nothing. What they read first
    /// is the rest that starts every piece.
    pub fn start(&mut self, n: usize) {
        let keys = Arc::new(vec![0.0; KEYS * self.network.config.spell_hidden]);
        let state = self.network.zero_state(1);
        let told = Told { keys, touch: None };
        let before = KeyRun::single(KeyFrame::default());
        let nothing = Hypothesis { n_read: 0, before, state, told };
        self.hypotheses = vec![nothing; n];
    }

    /// A hypothesis reads a run.
    #[cfg(test)]
    pub fn read(&mut self, hypothesis: usize, run: &KeyRun) {
        self.read_together(&[(hypothesis, run.clone())]);
    }

    /// Different hypotheses read a run each, of one frame where the alphabet asks for no length, in
    /// one pass over the network.
    pub fn read_together(&mut self, runs: &[(usize, KeyRun)]) {
        if runs.is_empty() {
            return;
        }
        let hypotheses = &mut self.hypotheses;
        let states = runs.iter().map(|(idx, _)| std::mem::take(&mut hypotheses[*idx].state));
        let states: Vec<_> = states.collect();
        // The rest that starts every piece stands before its first frame.
        let n_read =
            runs.iter().map(|(idx, run)| hypotheses[*idx].n_read.saturating_add(run.length));
        let n_read: Vec<u32> = n_read.collect();
        let clocks = n_read.iter().filter_map(|n_read| self.clock(n_read.saturating_sub(1)));
        let batch = KeyBatch {
            n_rows: runs.len(),
            n_steps: 1,
            frames: rows_and_nothing(runs.iter().map(|(_, run)| run.frame.clone())),
            lengths: rows_and_nothing(runs.iter().map(|(_, run)| run.length)),
            clocks: clocks.collect(),
            weights: vec![1.0; runs.len()],
            continues: vec![true; runs.len()],
        };
        let (told, states) = self.tell_all(&batch, &states);
        let read = runs.iter().zip(n_read).zip(told.into_iter().zip(states));
        for (((idx, run), n_read), (told, state)) in read {
            self.hypotheses[*idx] = Hypothesis { n_read, before: run.clone(), state, told };
        }
    }

    /// Hypothesis `to` becomes what hypothesis `from` is.
    pub fn copy(&mut self, from: usize, to: usize) {
        self.hypotheses[to] = self.hypotheses[from].clone();
    }

    /// Afterwards hypothesis `i` continues what was hypothesis `parents[i]`; there are then as
    /// many as `parents` has.
    pub fn select(&mut self, parents: &[usize]) {
        let kept = parents.iter().map(|&parent| self.hypotheses[parent].clone());
        self.hypotheses = kept.collect();
    }

    /// The keys of a hypothesis' next frame: `choose` answers what is asked of every key from low
    /// to high.
    pub fn spell(&self, hypothesis: usize, choose: &mut dyn FnMut(Decision) -> bool) -> Spelled {
        let before = Keys::of(self.hypotheses[hypothesis].before.frame.sounding);
        let mut prefix = self.begun(hypothesis);
        let rows = &mut Rows::default();
        for key in 0..KEYS {
            let told = self.told_of(std::slice::from_ref(&prefix), key);
            let log_odds = self.asking.log_odds(told, rows).next();
            let log_odds = log_odds.expect("there is a row for each that is asked");
            let mut ask = |question, log_odds| choose(Decision { key, question, log_odds });
            let sounds = ask(Question::Sounds, log_odds[0]);
            let is_struck = match log_odds.get(1) {
                Some(_) if !before.contains(key) => sounds,
                Some(&log_odds) if sounds => ask(Question::StruckAgain, log_odds),
                _ => false,
            };
            let answers = answers(log_odds, before.contains(key)).into_iter();
            let answer =
                answers.flatten().find(|it| (it.sounds, it.is_struck) == (sounds, is_struck));
            self.go_on(&mut prefix, key, &answer.expect("one of the answers was given"));
        }
        prefix.spelled()
    }

    /// The next frames of a hypothesis, the likeliest first, each with other keys sounding or struck;
    /// in none do the keys of `unlike` sound. They are found by a search over the keys that goes on
    /// with the `n` likeliest beginnings at every key, and with the `n` likeliest that may still
    /// become `unlike`. None is less likely than `least`, a log-probability: what is found above it
    /// is the same whatever it is, and the sooner.
    pub fn candidates(
        &self,
        hypothesis: usize,
        n: usize,
        unlike: Option<Chord>,
        least: f64,
    ) -> Vec<Spelled> {
        let before = Keys::of(self.hypotheses[hypothesis].before.frame.sounding);
        let unlike = unlike.map(Keys::of);
        let mut prefixes = vec![Prefix { is_like: unlike.is_some(), ..self.begun(hypothesis) }];
        let rows = &mut Rows::default();
        for key in 0..KEYS {
            let mut next: Vec<(usize, Answer)> = Vec::with_capacity(3 * prefixes.len());
            let log_odds = self.asking.log_odds(self.told_of(&prefixes, key), rows);
            for (idx, log_odds) in log_odds.enumerate() {
                let answers = answers(log_odds, before.contains(key)).into_iter().flatten();
                next.extend(answers.map(|answer| (idx, answer)));
            }
            let total = |(idx, answer): &(usize, Answer)| {
                prefixes[*idx].log_probability + answer.log_probability
            };
            // A beginning is at least as likely as what it becomes. What is no number stays, so
            // that whoever asks finds it.
            let is_less_likely = |it: &(usize, Answer)| total(it) < least;
            next.retain(|it| !is_less_likely(it));
            // A stable sort: of equals the one found first stays.
            next.sort_by(|a, b| total(b).total_cmp(&total(a)));
            let is_like = |(idx, answer): &(usize, Answer)| {
                let so_far = unlike.filter(|_| prefixes[*idx].is_like);
                so_far.is_some_and(|unlike| unlike.contains(key) == answer.sounds)
            };
            let mut kept = [0; 2];
            next.retain(|it| {
                let kept = &mut kept[usize::from(is_like(it))];
                *kept += 1;
                *kept <= n
            });
            let gone_on = |it: (usize, Answer)| {
                let is_like = is_like(&it);
                let (idx, answer) = it;
                let mut prefix = Prefix { is_like, ..prefixes[idx].clone() };
                self.go_on(&mut prefix, key, &answer);
                prefix
            };
            prefixes = next.into_iter().map(gone_on).collect();
            if prefixes.is_empty() {
                break;
            }
        }
        prefixes.iter().filter(|prefix| !prefix.is_like).map(Prefix::spelled).collect()
    }

    /// How hard the struck keys of a hypothesis' next frame are struck, from low to high, and the
    /// logarithm of how probable that is: `choose` takes one of [`VELOCITIES`] levels by their
    /// log-probabilities. Nothing without touch.
    pub fn velocities(
        &self,
        hypothesis: usize,
        spelled: &Spelled,
        choose: &mut dyn FnMut(&[f32]) -> usize,
    ) -> (Vec<Velocity>, f64) {
        let told = &self.hypotheses[hypothesis].told;
        let (Some(told), Some(touch)) = (&told.touch, &self.network.touch) else {
            return (Vec::new(), 0.0);
        };
        let device = self.network.device();
        let (sounding, struck) = (Keys::of(spelled.chord), Keys::of(spelled.struck));
        let (mut chosen, mut sum) = (Vec::with_capacity(struck.len()), 0.0);
        for key in struck.iter() {
            let frame = Frame { sounding, struck, velocities: &chosen, ..Frame::default() };
            let mut row = vec![0.0; STRIKE_WIDTH];
            features::write_strike(frame, key, &mut row);
            let told = told.velocity.clone().narrow(0, key, 1);
            let heard = rows_of_tensor::<Flex>(row, STRIKE_WIDTH, &device);
            let hidden = relu(told + heard.matmul(touch.velocity.frame.clone()));
            let scores = numbers(log_softmax(touch.velocity.scores(hidden), 1).into_data());
            let level = choose(&scores).min(VELOCITIES - 1);
            sum += f64::from(scores[level]);
            chosen.push(touch::velocity(level));
        }
        (chosen, sum)
    }

    /// That the pedal is down in a hypothesis' next frame, all else of which is given; none without
    /// touch.
    pub fn pedal_log_odds(&self, hypothesis: usize, spelled: &Spelled) -> Option<f32> {
        let Hypothesis { told, before, .. } = &self.hypotheses[hypothesis];
        let (told, touch) = (told.touch.as_ref()?, self.network.touch.as_ref()?);
        let mut row = vec![0.0; PEDAL_WIDTH];
        features::write_pedal(Frame::of_run(before), spelled.frame(&[], false), &mut row);
        let heard = rows_of_tensor::<Flex>(row, PEDAL_WIDTH, &self.network.device());
        let hidden = relu(told.pedal.clone() + heard.matmul(touch.pedal.frame.clone()));
        numbers(touch.pedal.answers(hidden).into_data()).first().copied()
    }

    /// Of a hypothesis' next frame, all else of which is given, the log-probability that it lasts
    /// 1, 2, … and [`LENGTHS`] frames; none without touch.
    ///
    /// [`LENGTHS`]: super::config::LENGTHS
    pub fn lengths(
        &self,
        hypothesis: usize,
        spelled: &Spelled,
        velocities: &[Velocity],
        pedal: bool,
    ) -> Option<Vec<f32>> {
        let Hypothesis { told, before, n_read, .. } = &self.hypotheses[hypothesis];
        let (told, touch) = (told.touch.as_ref()?, self.network.touch.as_ref()?);
        let frame = spelled.frame(velocities, pedal);
        let clock = self.clock(n_read.saturating_sub(1));
        let mut row = vec![0.0; LASTING_WIDTH];
        features::write_lasting(Frame::of_run(before), frame, clock, &mut row);
        let heard = rows_of_tensor::<Flex>(row, LASTING_WIDTH, &self.network.device());
        let hidden = relu(told.length.clone() + heard.matmul(touch.length.frame.clone()));
        Some(numbers(log_softmax(touch.length.answers(hidden), 1).into_data()))
    }

    /// The place on the grid of a frame of the music, where frames have one.
    fn clock(&self, frame: u32) -> Option<u32> {
        let clock = self.bar.map_or(frame, |bar| frame % bar);
        self.network.config.has_clock.then_some(clock)
    }

    fn begun(&self, hypothesis: usize) -> Prefix {
        let told = self.hypotheses[hypothesis].told.keys.clone();
        let (sounding, struck) = (Keys::default(), Keys::default());
        Prefix { sounding, struck, log_probability: 0.0, is_like: false, told }
    }

    /// What is known of the next frame of each row before any of its keys, and the states after.
    fn tell_all(&mut self, batch: &KeyBatch, states: &[State]) -> (Vec<Told>, Vec<State>) {
        let (network, slides) = (&self.network, self.slides.as_ref());
        let heard = Heard::of(network, batch, slides);
        let (tops, state) = read(network, heard, joined(states), &mut self.kernels);
        let heard = HeardOfKeys::of(network, batch, slides);
        let n = batch.n_rows;
        let keys = numbers(add_tops(network, heard.told(&network.speller), &tops).into_data());
        let each = keys.len() / n;
        let keys = keys.chunks_exact(each).map(|keys| Arc::new(keys.to_vec()));
        let mut told: Vec<Told> = keys.map(|keys| Told { keys, touch: None }).collect();
        if let Some(touch) = &network.touch {
            let velocity = parts(&touch.velocity.told(network, &heard, &tops), n);
            let (pedal, length) = (parts(&touch.pedal.told(&tops), n), touch.length.told(&tops));
            let of_frames = pedal.zip(parts(&length, n));
            for ((told, velocity), (pedal, length)) in told.iter_mut().zip(velocity).zip(of_frames)
            {
                told.touch = Some(ToldOfTouch { velocity, pedal, length });
            }
        }
        (told, parted(&state, n))
    }

    /// What each of some beginnings is told of a key.
    fn told_of<'t>(
        &self,
        prefixes: &'t [Prefix],
        key: usize,
    ) -> impl Iterator<Item = &'t [f32]> + use<'t> {
        let n = self.network.config.spell_hidden;
        prefixes.iter().map(move |prefix| &prefix.told[key * n..][..n])
    }

    /// Takes an answer for a key, and tells every higher one of it.
    fn go_on(&self, prefix: &mut Prefix, key: usize, answer: &Answer) {
        prefix.log_probability += answer.log_probability;
        if !answer.sounds {
            return;
        }
        prefix.sounding.insert(key);
        if answer.is_struck {
            prefix.struck.insert(key);
        }
        let KeyConfig { spell_hidden: n, alphabet, .. } = self.network.config;
        let all = Arc::make_mut(&mut prefix.told);
        for higher in key + 1..KEYS {
            let told = &mut all[higher * n..][..n];
            for (place, change) in features::lower_changes(alphabet, higher, key, answer.is_struck)
            {
                let row = &self.lower[place * n..][..n];
                told.iter_mut().zip(row).for_each(|(to, weight)| *to += change * weight);
            }
        }
    }
}

/// A row for each, and one for what comes next and isn't known yet.
fn rows_and_nothing<T: Clone + Default>(rows: impl ExactSizeIterator<Item = T>) -> Vec<T> {
    let nothing = vec![T::default(); rows.len()];
    rows.chain(nothing).collect()
}

impl Spelled {
    /// As a network hears it, with what is known besides.
    fn frame(self, velocities: &[Velocity], pedal: bool) -> Frame<'_> {
        let (sounding, struck) = (Keys::of(self.chord), Keys::of(self.struck));
        Frame { sounding, struck, velocities, pedal, length: 0 }
    }
}

impl Prefix {
    fn spelled(&self) -> Spelled {
        let (chord, struck) = (self.sounding.chord(), self.struck.chord());
        Spelled { chord, struck, log_probability: self.log_probability }
    }
}

/// What may be said of a key: that it is silent, that it sounds, and with touch the two ways of
/// going on.
fn answers(log_odds: &[f32], sounded_before: bool) -> [Option<Answer>; 3] {
    let sounds = log_probability(log_odds[0], true);
    let answer =
        |sounds, is_struck, log_probability| Some(Answer { sounds, is_struck, log_probability });
    let off = answer(false, false, log_probability(log_odds[0], false));
    match log_odds.get(1) {
        None => [off, answer(true, false, sounds), None],
        Some(_) if !sounded_before => [off, answer(true, true, sounds), None],
        Some(&again) => [
            off,
            answer(true, false, sounds + log_probability(again, false)),
            answer(true, true, sounds + log_probability(again, true)),
        ],
    }
}

/// Of a key's sounding or being silent, or the pedal's being down or up: log σ(±s) without overflow.
pub fn log_probability(log_odds: f32, sounds: bool) -> f64 {
    let odds = f64::from(if sounds { log_odds } else { -log_odds });
    // log σ(x) = min(x, 0) - log(1 + e^-|x|)
    odds.min(0.0) - (-odds.abs()).exp().ln_1p()
}
