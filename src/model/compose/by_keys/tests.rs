//! Composing key by key with small networks, held against what they say of every frame.

use super::super::guard::History;
use super::super::prime::PrimeFrames;
use super::super::{ComposeEvent, Prime, Take, compose_by, roll_statistics};
use super::detour::has_key;
use super::*;
use crate::cancel::CancelToken;
use crate::model::keys::{Alphabet, KeyConfig, KeyNetwork, Question};
use crate::model::network::Network;
use crate::model::{Guard, Model};
use crate::music::{Pitch, Velocity};
use crate::tokens::{FrameRate, KeyRun, RunCutter};

pub(super) fn speller(alphabet: Alphabet) -> Speller {
    let config = KeyConfig {
        layers: 1,
        hidden: 2,
        key_hidden: 0,
        spell_hidden: 3,
        alphabet,
        has_clock: false,
    };
    Speller::new(&KeyNetwork::new(config, 3, &Default::default()))
}

fn with_guard(alphabet: Alphabet, guard: &Guard, strategy: Strategy) -> ByKeys {
    ByKeys::new(speller(alphabet), Rules::new(guard, FrameRate::INPUT_DEFAULT, 0), strategy)
}

/// A model that has learned nothing and has read the rest that starts every piece, then a
/// chord; and where in its speller that is so.
fn unlearned(alphabet: Alphabet) -> (Writer, usize) {
    let mut model = with_guard(alphabet, &Guard::OFF, Strategy::Max);
    model.start(1);
    model.step(&[SpelledFrame::default()]).unwrap();
    if alphabet == Alphabet::Full {
        let keys = prime_frames(&Prime::from_chord(chord(&[40, 50, 60, 61, 62, 100])));
        model.step(&keys).unwrap();
    }
    let place = model.writer.reader.ended(0);
    (model.writer, place)
}

pub(super) fn chord(numbers: &[u8]) -> Chord {
    numbers.iter().filter_map(|&number| Pitch::new(number)).collect()
}

fn prime_frames(prime: &Prime) -> Vec<SpelledFrame> {
    match PrimeFrames::of_piano(prime, Alphabet::Full).0 {
        PrimeFrames::Shared(frames) => frames,
        PrimeFrames::Drawn => Vec::new(),
    }
}

fn keys_of(spelled: Spelled) -> Keys {
    (spelled.chord, spelled.struck)
}

fn names(keys: &[Keys]) -> Vec<KeysName> {
    let name = |&(sounding, struck): &Keys| KeysName { sounding, struck: Some(struck) };
    let mut names: Vec<KeysName> = keys.iter().map(name).collect();
    names.sort_unstable();
    names
}

/// What keys are drawn with under a sampling, as exactly as it is computed.
fn share((writer, place): &(Writer, usize), keys: Keys, sampling: Sampling) -> f64 {
    Detour::new(&writer.reader.speller, *place, keys, sampling).unwrap().log_rests[0].exp()
}

#[test]
fn what_is_forbidden_is_taken_out_and_the_rest_keeps_its_proportions() {
    let models = [Alphabet::OffOn, Alphabet::Full].map(unlearned);
    // Sharpened until few chords are probable.
    for (model, temperature) in models.iter().zip([0.3, 0.45]) {
        let sampling = Sampling { temperature, enough: 1.0 };
        let rng = &mut take_rng(1, 0);
        let (writer, place) = model;
        let mut draw = |forbidden: &Forbidden<KeysName>| {
            keys_of(writer.draw(*place, forbidden, sampling, rng).unwrap())
        };
        let n = 2_500;
        let nothing = Forbidden { held: None, repeating: &[] };
        let free: Vec<Keys> = (0..n).map(|_| draw(&nothing)).collect();
        let mut common = free.clone();
        common.sort_unstable();
        common.dedup();
        common.sort_by_key(|keys| std::cmp::Reverse(free.iter().filter(|k| *k == keys).count()));
        let mut check = |forbidden: Forbidden<KeysName>, taken: f64| {
            assert!((0.01..0.999).contains(&taken), "{taken}");
            let drawn: Vec<Keys> = (0..n).map(|_| draw(&forbidden)).collect();
            let is_forbidden = |&(chord, struck): &Keys| {
                forbidden.has(&Spelled { chord, struck, log_probability: 0.0 })
            };
            assert!(!drawn.iter().any(is_forbidden));
            for keys in common.iter().filter(|keys| !is_forbidden(keys)).take(2) {
                let expected = share(model, *keys, sampling) / (1.0 - taken);
                let found = drawn.iter().filter(|k| *k == keys).count() as f64 / n as f64;
                let deviation = (expected * (1.0 - expected) / n as f64).sqrt();
                assert!((found - expected).abs() < 5.0 * deviation, "{found} for {expected}");
            }
        };
        let repeating = [common[0], common[2]];
        let taken = repeating.iter().map(|&keys| share(model, keys, sampling)).sum();
        check(Forbidden { held: None, repeating: &names(&repeating) }, taken);
        // A chord, whatever of it is struck: each of these ways is among those that were drawn.
        let held = common[0].0;
        let ways = common.iter().filter(|keys| keys.0 == held);
        let taken = ways.map(|&keys| share(model, keys, sampling)).sum();
        let name = KeysName { sounding: held, struck: None };
        check(Forbidden { held: Some(name), repeating: &[] }, taken);
    }
}

#[test]
fn where_only_what_is_forbidden_is_probable_another_chord_comes() {
    for model in [Alphabet::OffOn, Alphabet::Full].map(unlearned) {
        let sampling = Sampling { temperature: f64::MIN_POSITIVE, enough: 1.0 };
        let rng = &mut take_rng(1, 0);
        let (writer, place) = &model;
        let mut draw = |forbidden: &Forbidden<KeysName>| {
            keys_of(writer.draw(*place, forbidden, sampling, rng).unwrap())
        };
        let only = draw(&Forbidden { held: None, repeating: &[] });
        assert_eq!(share(&model, only, sampling), 1.0);
        let repeating = names(&[only]);
        let forbidden = Forbidden { held: None, repeating: &repeating };
        let others: Vec<Keys> = (0..10).map(|_| draw(&forbidden)).collect();
        assert!(others.iter().all(|other| *other != only));
        // They are the model's own, not whatever differs in the lowest key.
        let lowest = chord(&[21]);
        assert!(
            others.iter().any(|other| other.0.intersection(lowest) == only.0.intersection(lowest))
        );
        // The likeliest beside it is what a search finds.
        let held = Some(KeysName { sounding: only.0, struck: None });
        for forbidden in [forbidden, Forbidden { held, repeating: &[] }] {
            let allowed = writer.allowed(*place, &forbidden, 3, f64::NEG_INFINITY);
            assert!(allowed.len() == 3 && !allowed.iter().any(|spelled| forbidden.has(spelled)));
        }
    }
}

#[test]
fn a_great_many_forbidden_frames_cost_no_more_than_those_that_come() {
    let (writer, place) = unlearned(Alphabet::Full);
    // Each of them spelled anew for every frame would take minutes.
    let improbable = (0..50_000u128).map(|bits| Chord::from_bits(bits << 40 | 0xffff << 60));
    let mut keys: Vec<Keys> = improbable.map(|chord| (chord, chord)).collect();
    let free =
        writer.allowed(place, &Forbidden { held: None, repeating: &[] }, 40, f64::NEG_INFINITY);
    keys.extend(free[..20].iter().map(|&spelled| keys_of(spelled)));
    let names = names(&keys);
    let forbidden = Forbidden { held: None, repeating: &names };
    let allowed = writer.allowed(place, &forbidden, 10, f64::NEG_INFINITY);
    let ours: Vec<Keys> = allowed.into_iter().map(keys_of).collect();
    let expected: Vec<Keys> = free[20..30].iter().map(|&spelled| keys_of(spelled)).collect();
    assert_eq!(ours, expected);
    let rng = &mut take_rng(1, 0);
    for _ in 0..20 {
        let drawn = writer.draw(place, &forbidden, Sampling::PLAIN, rng).unwrap();
        assert!(!forbidden.has(&drawn));
    }
}

#[test]
fn what_cannot_be_spelled_takes_nothing_out() {
    let (writer, place) = unlearned(Alphabet::Full);
    let detour = |keys| Detour::new(&writer.reader.speller, place, keys, Sampling::PLAIN);
    // A key that begins to sound without being struck.
    assert!(detour((chord(&[64]), Chord::REST)).is_none());
    assert!(detour((chord(&[60]), Chord::REST)).is_some());
}

/// What is forbidden after frames of which some keys are struck: the chord that was held, and what
/// would repeat.
fn forbidden(guard: &Guard, frames: &[(&[u8], &[u8])]) -> (Option<Chord>, Vec<KeysName>) {
    let mut model = with_guard(Alphabet::Full, guard, Strategy::Max);
    let mut history = History::with_capacity(frames.len());
    for (sounding, struck) in frames {
        let keys =
            KeyFrame { sounding: chord(sounding), struck: chord(struck), ..KeyFrame::default() };
        history.push(SpelledFrame::of_touch(keys).name());
    }
    let forbidden = model.rules.forbidden(&history);
    (forbidden.held_keys(), forbidden.repeating.to_vec())
}

#[test]
fn a_hold_lasts_until_other_keys_sound() {
    // At two frames a second.
    let guard = Guard { longest_hold_secs: Some(1.5), no_repeat: None };
    let held = |frames: &[(&[u8], &[u8])]| forbidden(&guard, frames).0;
    let (both, one) = (&[60, 64][..], &[60][..]);
    assert_eq!(held(&[(both, both), (both, &[])]), None);
    assert_eq!(held(&[(both, both), (both, &[]), (both, &[])]), Some(chord(both)));
    assert_eq!(held(&[(both, both), (both, both), (both, both)]), Some(chord(both)));
    assert_eq!(held(&[(both, both), (both, &[]), (both, one)]), Some(chord(both)));
    assert_eq!(held(&[(both, both), (both, both), (one, one)]), None);
    assert_eq!(held(&[(both, both), (both, &[]), (both, &[]), (one, &[])]), None);
    assert_eq!(held(&[(&[], &[]), (&[], &[]), (&[], &[])]), Some(Chord::REST));
    assert_eq!(held(&[]), Some(Chord::REST), "music from nothing begins with a chord");
}

#[test]
fn runs_are_of_chords_that_are_struck() {
    let guard = Guard { longest_hold_secs: None, no_repeat: Some(3) };
    let (a, b, c) = (&[60][..], &[62][..], &[64][..]);
    let held: &[u8] = &[];
    let past = [(a, a), (a, held), (b, b), (c, c), (held, held), (a, a), (b, b), (b, held)];
    assert_eq!(forbidden(&guard, &past), (None, names(&[(chord(c), chord(c))])));
}

const STRATEGIES: [Strategy; 3] = [
    Strategy::Sample { temperature: 0.9, top_k: None, top_p: Some(0.95) },
    Strategy::Max,
    Strategy::Beam { width: 2, length_penalty: 1.0 },
];

/// Composes with a model that has learned nothing; what was streamed of the first take comes
/// along.
fn composed(settings: &ComposeSettings) -> (Vec<Take>, Vec<KeyFrame>) {
    let model = with_guard(Alphabet::Full, &settings.guard, settings.strategy);
    let (prime, _) = PrimeFrames::of_piano(&settings.prime, Alphabet::Full);
    let mut streamed = Vec::new();
    let on_event = &mut |event: ComposeEvent<'_>| {
        if let ComposeEvent::Frames { take: 0, first, chords, touch } = event {
            assert_eq!(streamed.len(), first);
            streamed.extend_from_slice(&touch.expect("it has touch"));
            assert_eq!(streamed.len(), first + chords.len());
        }
    };
    let takes = compose_by(model, prime, None, settings, &CancelToken::new(), on_event);
    (takes.unwrap(), streamed)
}

fn settings(strategy: Strategy) -> ComposeSettings {
    let prime = Prime::from_pitch(Pitch::MIDDLE_C);
    ComposeSettings { strategy, prime, frames: 24, ..ComposeSettings::default() }
}

#[test]
fn a_take_has_touch_and_comes_again_with_its_seed() {
    for strategy in STRATEGIES {
        let (takes, streamed) = composed(&settings(strategy));
        let [take] = &takes[..] else { panic!("one take") };
        let touch = take.touch.as_deref().unwrap();
        assert_eq!((touch, touch.len()), (&streamed[..], 25));
        let mut before = Chord::REST;
        for (frame, chord) in touch.iter().zip(&take.roll) {
            assert_eq!(frame.sounding, *chord);
            assert_eq!(frame.velocities.len(), frame.struck.len());
            assert!(frame.struck.difference(frame.sounding).is_rest());
            let begun = frame.sounding.difference(before);
            assert!(begun.difference(frame.struck).is_rest(), "what begins is struck");
            before = frame.sounding;
        }
        let same = |a: &Take, b: &Take| (&a.roll, &a.touch) == (&b.roll, &b.touch);
        assert!(same(&composed(&settings(strategy)).0[0], take));
        let other = composed(&ComposeSettings { seed: 1, ..settings(strategy) }).0;
        let is_drawn = matches!(strategy, Strategy::Sample { .. });
        assert_eq!(!same(&other[0], take), is_drawn, "{strategy:?}");
    }
}

/// How often a model was asked what follows, and how many frames it named then.
#[derive(Default)]
struct Asked {
    n_times: usize,
    n_named: usize,
}

/// A model that says what it was asked; one that is thorough knows nothing at once and leaves
/// nothing out.
struct Watched<'a> {
    model: ByKeys,
    is_thorough: bool,
    asked: &'a mut Asked,
}

impl NextFrame for Watched<'_> {
    type Frame = SpelledFrame;

    fn chord(&self, frame: &SpelledFrame) -> Chord {
        self.model.chord(frame)
    }

    fn touch(&self, frame: &SpelledFrame) -> Option<KeyFrame> {
        self.model.touch(frame)
    }

    fn draw_first(&mut self, seed: u64) -> Result<SpelledFrame, ComposeError> {
        self.model.draw_first(seed)
    }

    fn start(&mut self, n: usize) {
        self.model.start(n);
    }

    fn read(&mut self, frames: &[SpelledFrame]) {
        self.model.read(frames);
    }

    fn step(&mut self, frames: &[SpelledFrame]) -> Result<(), ComposeError> {
        self.model.step(frames)
    }

    fn select(&mut self, parents: &[usize]) {
        self.model.select(parents);
    }

    fn choose(
        &mut self,
        at: PlaceOf<'_, Self>,
        draw: Option<&mut ChaCha8Rng>,
    ) -> Result<(Answer<SpelledFrame>, Lifted), ComposeError> {
        self.model.choose(at, draw)
    }

    fn at_hand(
        &mut self,
        at: PlaceOf<'_, Self>,
        answers: &mut Vec<Answer<SpelledFrame>>,
    ) -> Result<f64, ComposeError> {
        let others = self.model.at_hand(at, answers)?;
        if self.is_thorough {
            answers.clear();
        }
        Ok(if self.is_thorough { f64::INFINITY } else { others })
    }

    fn foresee(&mut self, hypotheses: &[usize]) {
        if !self.is_thorough {
            self.model.foresee(hypotheses);
        }
    }

    fn likeliest(
        &mut self,
        at: PlaceOf<'_, Self>,
        n: usize,
        least: f64,
        answers: &mut Vec<Answer<SpelledFrame>>,
    ) -> Result<Lifted, ComposeError> {
        let mut held_on = Vec::new();
        let mut least = least;
        if self.is_thorough {
            self.model.at_hand(at, &mut held_on)?;
            least = f64::NEG_INFINITY;
        }
        let lifted = self.model.likeliest(at, n, least, answers)?;
        self.asked.n_times += 1;
        self.asked.n_named += answers.len();
        answers.splice(0..0, held_on);
        Ok(lifted)
    }
}

#[test]
fn a_beam_finds_the_same_whatever_it_leaves_unasked() {
    let guards = [Guard::OFF, Guard { longest_hold_secs: Some(2.0), no_repeat: Some(2) }];
    for (alphabet, guard) in [Alphabet::Full, Alphabet::OffOn]
        .into_iter()
        .flat_map(|alphabet| guards.map(|guard| (alphabet, guard)))
    {
        let strategy = Strategy::Beam { width: 5, length_penalty: 1.0 };
        let settings = ComposeSettings { guard, frames: 16, takes: 5, ..settings(strategy) };
        let search = |is_thorough| {
            let mut asked = Asked::default();
            let model = with_guard(alphabet, &guard, strategy);
            let model = Watched { model, is_thorough, asked: &mut asked };
            let (prime, _) = PrimeFrames::of_piano(&settings.prime, alphabet);
            let cancel = CancelToken::new();
            let takes = compose_by(model, prime, None, &settings, &cancel, &mut |_| ()).unwrap();
            (takes, asked)
        };
        let ((ours, asked), (thorough, asked_of_all)) = (search(false), search(true));
        for (ours, expected) in ours.iter().zip(&thorough) {
            assert_eq!((&ours.roll, &ours.touch), (&expected.roll, &expected.touch));
            let off = ours.log_likelihood - expected.log_likelihood;
            assert!(off.abs() < 1e-4, "{off}");
        }
        assert_eq!((ours.len(), asked_of_all.n_times), (5, 1 + 15 * 5));
        assert_eq!(asked_of_all.n_named, 5 * asked_of_all.n_times);
        // Most of what may follow is too unlikely to be named.
        assert!(asked.n_named < asked_of_all.n_named / 2, "{}", asked.n_named);
        // To one that has learned nothing, all phrases are nearly as likely as each other: where
        // none goes on at no cost, each may have to be asked.
        assert!(asked.n_times < asked_of_all.n_times || alphabet == Alphabet::OffOn);
    }
}

#[test]
fn a_beam_of_a_model_that_learned_asks_seldom() {
    let model = Model::starter().unwrap();
    let Network::Keys(network) = &*model.network else { panic!("the starter spells") };
    let strategy = Strategy::Beam { width: 10, length_penalty: 1.0 };
    let settings = ComposeSettings { frames: 32, ..settings(strategy) };
    let rules = Rules::new(&settings.guard, FrameRate::new(16.0).unwrap(), 0);
    let model = ByKeys::new(Speller::new(network), rules, strategy);
    let mut asked = Asked::default();
    let model = Watched { model, is_thorough: false, asked: &mut asked };
    let (prime, _) = PrimeFrames::of_piano(&settings.prime, Alphabet::Full);
    compose_by(model, prime, None, &settings, &CancelToken::new(), &mut |_| ()).unwrap();
    assert!(asked.n_times < 31 * 10 / 2, "{} of {}", asked.n_times, 1 + 31 * 10);
}

#[test]
fn nothing_sounds_for_longer_than_the_guard_allows() {
    // Three frames.
    let guard = Guard { longest_hold_secs: Some(1.5), no_repeat: Some(2) };
    for strategy in STRATEGIES {
        let (takes, _) = composed(&ComposeSettings { guard, ..settings(strategy) });
        assert_eq!(roll_statistics(&takes[0].roll).longest_run, 3, "{strategy:?}");
    }
}

/// The keys of a frame as a speller that has read what comes before it spells them.
fn respelled(speller: &Speller, frame: &KeyFrame) -> Spelled {
    let spelled = speller.spell(0, &mut |Decision { key, question, .. }| {
        let chord = match question {
            Question::Sounds => frame.sounding,
            Question::StruckAgain => frame.struck,
        };
        has_key(chord, key)
    });
    assert_eq!(keys_of(spelled), (frame.sounding, frame.struck));
    spelled
}

/// The log-probability of a frame, all of it.
fn log_share(speller: &Speller, spelled: &Spelled, frame: &KeyFrame) -> f64 {
    let mut velocities = frame.velocities.iter();
    let level = |velocity: Velocity| usize::from((velocity.number() - 1) / 4);
    let choose = &mut |_: &[f32]| level(*velocities.next().unwrap());
    let (again, of_velocities) = speller.velocities(0, spelled, choose);
    assert_eq!(again, frame.velocities);
    let log_odds = speller.pedal_log_odds(0, spelled).unwrap();
    spelled.log_probability + of_velocities + log_probability(log_odds, frame.pedal)
}

#[test]
fn the_log_likelihood_is_that_of_every_run_and_its_length() {
    let mut n_longer = 0;
    for strategy in STRATEGIES {
        let (takes, _) = composed(&settings(strategy));
        let touch = takes[0].touch.clone().unwrap();
        let mut speller = speller(Alphabet::Full);
        speller.start(1);
        speller.read(0, &KeyRun::single(KeyFrame::default()));
        let runs = RunCutter::cut(Alphabet::Full.longest_run(), touch);
        let mut expected = 0.0;
        for (idx, run) in runs.iter().enumerate() {
            let KeyRun { frame, length } = run;
            let spelled = respelled(&speller, frame);
            // The first frame was given, but not how long it lasts.
            if idx > 0 {
                expected += log_share(&speller, &spelled, frame);
            }
            let lengths = speller.lengths(0, &spelled, &frame.velocities, frame.pedal).unwrap();
            let length = *length as usize;
            // The last one is as long at least.
            let longest = if idx + 1 == runs.len() { lengths.len() } else { length };
            let shares = lengths[length - 1..longest].iter().map(|log| f64::from(*log).exp());
            expected += shares.sum::<f64>().ln();
            n_longer += usize::from(length > 1);
            speller.read(0, run);
        }
        let found = takes[0].log_likelihood;
        assert!((found - expected).abs() < 1e-4, "{strategy:?}: {found} for {expected}");
    }
    assert!(n_longer > 2, "some runs are longer than one frame");
}

#[test]
fn a_prime_is_read_with_touch_or_a_middle_velocity() {
    let frames = prime_frames(&Prime::Chords(vec![chord(&[60]), chord(&[10, 60, 64])]));
    let frames: Vec<KeyFrame> = frames.into_iter().map(|frame| frame.keys).collect();
    let middle = vec![Velocity::MIDDLE];
    assert_eq!((frames[0].struck, &frames[0].velocities), (chord(&[60]), &middle));
    assert_eq!((frames[1].struck, &frames[1].velocities), (chord(&[64]), &middle));
    assert_eq!(frames[1].sounding, chord(&[60, 64]), "no piano has the lowest");
    let loud = [20, 90].map(|number| Velocity::new(number).unwrap());
    let played = KeyFrame {
        sounding: chord(&[10, 60, 64]),
        struck: chord(&[10, 60]),
        velocities: loud.to_vec(),
        pedal: true,
    };
    let expected = KeyFrame {
        sounding: chord(&[60, 64]),
        struck: chord(&[60]),
        velocities: loud[1..].to_vec(),
        pedal: true,
    };
    let prime = Prime::Played(vec![played]);
    assert_eq!(prime_frames(&prime), [SpelledFrame::of_touch(expected)]);
    let (frames, note) = PrimeFrames::of_piano(&prime, Alphabet::OffOn);
    let only_chord = SpelledFrame::of_chord(chord(&[60, 64]));
    assert_eq!(frames, PrimeFrames::Shared(vec![only_chord]));
    assert!(note.unwrap().starts_with("the prime's only frame has a pitch"));
}

#[test]
fn top_p_and_top_k_leave_out_the_unlikelier_state_of_a_key() {
    let strategy = |top_k, top_p| Strategy::Sample { temperature: 1.0, top_k, top_p };
    let share =
        |top_k, top_p, odds: f64| Sampling::new(strategy(top_k, top_p)).share(odds.ln() as f32);
    assert!((share(None, None, 3.0) - 0.75).abs() < 1e-6);
    assert!((share(Some(2), Some(0.8), 3.0) - 0.75).abs() < 1e-6);
    assert_eq!(share(None, Some(0.7), 3.0), 1.0);
    assert_eq!(share(None, Some(0.7), 1.0 / 3.0), 0.0);
    assert_eq!(share(Some(1), None, 1.1), 1.0);
    let cold = Sampling { temperature: f64::MIN_POSITIVE, ..Sampling::PLAIN };
    assert_eq!((cold.share(-0.1), cold.share(0.1)), (0.0, 1.0));
}
