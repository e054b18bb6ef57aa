//! Composing against networks that are tables: what each strategy promises, with nothing learned.

use std::num::NonZeroU32;

use etude::cancel::CancelToken;
use etude::model::{
    ComposeError, ComposeEvent, ComposeSettings, Guard, NextChord, Prime, ReadingPlan, Strategy,
    Take, compose_with, roll_statistics,
};
use etude::music::{
    Meter, MeterChange, Note, Pitch, Score, TempoMap, Tick, TicksPerQuarter, Velocity,
};
use etude::tokens::{
    Chord, ChordVocabulary, FrameRate, FramingPlan, Grid, PerformancePlan, StepsPerQuarter, Token,
    Touch,
};
use proptest::prelude::{Just, ProptestConfig, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

// ── A network that is a function of what it has read ─────────────────────────────────────────

/// Scores from everything a row has read so far.
struct Fake<F> {
    n_chords: usize,
    scores_of: F,
    rows: Vec<Vec<Token>>,
    scores: Vec<f32>,
}

impl<F: Fn(&[Token]) -> Vec<f32>> Fake<F> {
    fn new(n_chords: usize, scores_of: F) -> Self {
        Self { n_chords, scores_of, rows: Vec::new(), scores: Vec::new() }
    }
}

impl<F: Fn(&[Token]) -> Vec<f32>> NextChord for Fake<F> {
    fn vocabulary_len(&self) -> usize {
        self.n_chords
    }

    fn start(&mut self, n: usize) {
        self.rows = vec![Vec::new(); n];
    }

    fn step(&mut self, tokens: &[Token]) -> &[f32] {
        assert_eq!(tokens.len(), self.rows.len(), "a token for each row");
        self.scores.clear();
        for (row, &token) in self.rows.iter_mut().zip(tokens) {
            row.push(token);
            self.scores.extend((self.scores_of)(row));
        }
        &self.scores
    }

    fn select(&mut self, parents: &[usize]) {
        self.rows = parents.iter().map(|&parent| self.rows[parent].clone()).collect();
    }
}

/// Token `n` is the single pitch 59 + n.
fn vocabulary(n_chords: usize) -> ChordVocabulary {
    let chord =
        |token: usize| if token == 0 { Chord::REST } else { Chord::from_bits(1 << (59 + token)) };
    ChordVocabulary::new((0..n_chords).map(chord).collect(), vec![1; n_chords]).unwrap()
}

fn tokens_of(roll: &[Chord]) -> Vec<Token> {
    roll.iter()
        .map(|chord| chord.pitches().next().map_or(0, |pitch| u32::from(pitch.number()) - 59))
        .collect()
}

/// What a network thinks after the last chord alone, as probabilities.
fn by_last<const N: usize>(table: [[f32; N]; N]) -> Fake<impl Fn(&[Token]) -> Vec<f32>> {
    Fake::new(N, move |read| table[*read.last().unwrap() as usize].map(f32::ln).to_vec())
}

/// Scores that look random but are a function of everything that was read.
fn hashed(n_chords: usize, salt: u64) -> Fake<impl Fn(&[Token]) -> Vec<f32>> {
    Fake::new(n_chords, move |read| hashed_scores(read, n_chords, salt))
}

fn hashed_scores(read: &[Token], n_chords: usize, salt: u64) -> Vec<f32> {
    let mix =
        |hash: u64, value: u64| (hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let hash = read.iter().fold(mix(salt, 1), |hash, &token| mix(hash, u64::from(token) + 1));
    (0..n_chords as u64).map(|token| (mix(hash, token) >> 40) as f32 / (1 << 22) as f32).collect()
}

fn settings(strategy: Strategy, frames: usize) -> ComposeSettings {
    ComposeSettings { strategy, guard: Guard::OFF, frames, ..ComposeSettings::default() }
}

const SAMPLE: Strategy = Strategy::Sample { temperature: 1.0, top_k: None, top_p: None };

fn beam(width: usize) -> Strategy {
    Strategy::Beam { width, length_penalty: 1.0 }
}

fn compose(
    network: &mut dyn NextChord,
    settings: &ComposeSettings,
) -> Result<(Vec<Take>, Vec<ComposeEvent<'static>>), ComposeError> {
    let vocabulary = vocabulary(network.vocabulary_len());
    let mut events = Vec::new();
    let takes = compose_with(network, &vocabulary, settings, &CancelToken::new(), &mut |event| {
        events.push(event.into_owned());
    })?;
    Ok((takes, events))
}

fn takes(network: &mut dyn NextChord, settings: &ComposeSettings) -> Vec<Take> {
    compose(network, settings).unwrap().0
}

/// The streamed frames of a take, joined; they must come in order.
fn streamed(events: &[ComposeEvent<'_>], wanted: usize) -> Vec<Chord> {
    let mut roll = Vec::new();
    for event in events {
        match event {
            ComposeEvent::Frames { take, first, chords, .. } if *take == wanted => {
                assert_eq!(*first, roll.len(), "frames of take {wanted} come in order");
                assert!(!chords.is_empty());
                roll.extend_from_slice(chords);
            }
            _ => {}
        }
    }
    roll
}

fn notes<'a>(events: &'a [ComposeEvent<'_>]) -> Vec<&'a str> {
    let note = |event: &'a ComposeEvent<'_>| match event {
        ComposeEvent::Note(note) => Some(note.as_str()),
        _ => None,
    };
    events.iter().filter_map(note).collect()
}

/// The model's own log-probability of a phrase read after `prime`.
fn log_likelihood(
    scores_of: impl Fn(&[Token]) -> Vec<f32>,
    prime: &[Token],
    phrase: &[Token],
) -> f64 {
    let mut read = prime.to_vec();
    let mut sum = 0.0;
    for &token in phrase {
        let scores: Vec<f64> = scores_of(&read).into_iter().map(f64::from).collect();
        let total: f64 = scores.iter().map(|score| score.exp()).sum();
        sum += scores[token as usize] - total.ln();
        read.push(token);
    }
    sum
}

// ── Max ──────────────────────────────────────────────────────────────────────────────────────

#[test]
fn max_takes_the_likeliest_each_time_and_once() {
    let table = [[0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.7, 0.2, 0.1]];
    let several = ComposeSettings { takes: 4, ..settings(Strategy::Max, 7) };
    let takes = takes(&mut by_last(table), &several);
    assert_eq!(takes.len(), 1);
    assert_eq!(tokens_of(&takes[0].roll), [1, 2, 0, 1, 2, 0, 1]);
    let expected = 3.0 * 0.6f64.ln() + 2.0 * (0.5f64.ln() + 0.7f64.ln());
    assert!((takes[0].log_likelihood - expected).abs() < 1e-6);
}

#[test]
fn of_equals_the_first_in_the_vocabulary_wins() {
    let mut network = Fake::new(4, |_: &[Token]| vec![1.0, 2.0, 2.0, 2.0]);
    assert_eq!(tokens_of(&takes(&mut network, &settings(Strategy::Max, 2))[0].roll), [1, 1]);
}

// ── Sample ───────────────────────────────────────────────────────────────────────────────────

/// Pearson's statistic of the chords drawn from fixed probabilities.
fn chi_square(strategy: Strategy, scores: [f32; 5], expected: [f64; 5]) -> f64 {
    const N: usize = 20_000;
    let mut network = Fake::new(5, move |_: &[Token]| scores.to_vec());
    let takes = takes(&mut network, &ComposeSettings { seed: 11, ..settings(strategy, N) });
    let mut counts = [0.0; 5];
    tokens_of(&takes[0].roll).into_iter().for_each(|token| counts[token as usize] += 1.0);
    let total: f64 = expected.iter().sum();
    let term = |(count, share): (f64, f64)| {
        let mean = share / total * N as f64;
        if share == 0.0 {
            assert_eq!(count, 0.0);
            0.0
        } else {
            (count - mean).powi(2) / mean
        }
    };
    counts.into_iter().zip(expected).map(term).sum()
}

/// Exceeded once in a thousand by chance, with four degrees of freedom.
const LIMIT: f64 = 18.47;

#[test]
fn sampling_follows_the_probabilities() {
    let expected = [0.4, 0.3, 0.2, 0.07, 0.03];
    let scores = expected.map(|share: f64| share.ln() as f32 + 3.0);
    assert!(chi_square(SAMPLE, scores, expected) < LIMIT);
    for temperature in [0.5, 2.0] {
        let tempered = expected.map(|share| share.powf(1.0 / temperature));
        let strategy = Strategy::Sample { temperature, top_k: None, top_p: None };
        assert!(chi_square(strategy, scores, tempered) < LIMIT, "at {temperature}");
        assert!(chi_square(strategy, scores, expected) > LIMIT, "the test sees {temperature}");
    }
}

#[test]
fn temperature_comes_before_top_k_and_top_k_before_top_p() {
    let shares = [0.4, 0.3, 0.2, 0.07, 0.03];
    let scores = shares.map(|share: f64| share.ln() as f32);
    let top_k = Strategy::Sample { temperature: 1.0, top_k: Some(3), top_p: None };
    assert!(chi_square(top_k, scores, [0.4, 0.3, 0.2, 0.0, 0.0]) < LIMIT);
    // Of the three that top-k leaves, two have 78 %: with all five, 0.75 would take three.
    let both = Strategy::Sample { temperature: 1.0, top_k: Some(3), top_p: Some(0.75) };
    assert!(chi_square(both, scores, [0.4, 0.3, 0.0, 0.0, 0.0]) < LIMIT);
    let top_p = Strategy::Sample { temperature: 1.0, top_k: None, top_p: Some(0.75) };
    assert!(chi_square(top_p, scores, [0.4, 0.3, 0.2, 0.0, 0.0]) < LIMIT);
    // A low temperature sharpens before the share is taken: 0.4² is already 54 % of the squares.
    let sharp = Strategy::Sample { temperature: 0.5, top_k: None, top_p: Some(0.5) };
    assert!(chi_square(sharp, scores, [1.0, 0.0, 0.0, 0.0, 0.0]) < LIMIT);
}

#[test]
fn the_same_seed_gives_the_same_notes_and_another_seed_others() {
    let compose =
        |seed| takes(&mut hashed(40, 1), &ComposeSettings { seed, ..settings(SAMPLE, 64) });
    assert_eq!(compose(3)[0].roll, compose(3)[0].roll);
    assert_ne!(compose(3)[0].roll, compose(4)[0].roll);
    assert_eq!(compose(u64::MAX)[0].seed, u64::MAX);
}

#[test]
fn a_take_is_the_same_alone_and_among_others() {
    for prime in [Prime::Silence, Prime::Random, Prime::from_pitch(Pitch::MIDDLE_C)] {
        let together =
            ComposeSettings { takes: 11, seed: u64::MAX - 4, prime, ..settings(SAMPLE, 40) };
        let mut network = hashed(30, 2);
        let many = takes(&mut network, &together);
        assert_eq!(many.len(), 11);
        for (n, take) in many.iter().enumerate() {
            let seed = together.seed.wrapping_add(n as u64);
            let alone = ComposeSettings { takes: 1, seed, ..together.clone() };
            let alone = &takes(&mut hashed(30, 2), &alone)[0];
            assert_eq!((take.seed, &take.roll), (seed, &alone.roll));
            assert_eq!(take.log_likelihood, alone.log_likelihood);
        }
    }
}

// ── Beam ─────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_beam_finds_the_phrase_that_greed_misses() {
    // The second chord is the likelier start, but nothing likely follows it.
    let table = [[0.02, 0.58, 0.4], [0.34, 0.33, 0.33], [0.005, 0.005, 0.99]];
    let greedy = &takes(&mut by_last(table), &settings(Strategy::Max, 3))[0];
    let best = &takes(&mut by_last(table), &settings(beam(2), 3))[0];
    assert_eq!(tokens_of(&greedy.roll)[0], 1);
    assert_eq!(tokens_of(&best.roll), [2, 2, 2]);
    assert!(best.log_likelihood > greedy.log_likelihood);
    let expected = 0.4f64.ln() + 2.0 * 0.99f64.ln();
    assert!((best.log_likelihood - expected).abs() < 1e-6);
}

#[test]
fn a_beam_of_one_is_max() {
    let greedy = takes(&mut hashed(20, 3), &settings(Strategy::Max, 30));
    let beam = takes(&mut hashed(20, 3), &settings(beam(1), 30));
    assert_eq!(greedy[0].roll, beam[0].roll);
    assert_eq!(greedy[0].log_likelihood, beam[0].log_likelihood);
}

#[test]
fn a_wide_beam_is_brute_force() {
    const N_CHORDS: usize = 3;
    const FRAMES: u32 = 5;
    for salt in 0..5 {
        let scores_of = |read: &[Token]| hashed_scores(read, N_CHORDS, salt);
        let mut all: Vec<(Vec<Token>, f64)> = (0..(N_CHORDS as u32).pow(FRAMES))
            .map(|number| {
                (0..FRAMES)
                    .map(|frame| number / (N_CHORDS as u32).pow(frame) % N_CHORDS as u32)
                    .collect()
            })
            .map(|phrase: Vec<Token>| {
                let sum = log_likelihood(scores_of, &[0], &phrase);
                (phrase, sum)
            })
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        let settings = ComposeSettings { takes: 20, ..settings(beam(243), FRAMES as usize) };
        let best = takes(&mut hashed(N_CHORDS, salt), &settings);
        assert_eq!(best.len(), 20);
        for (take, (phrase, sum)) in best.iter().zip(&all) {
            assert_eq!(&tokens_of(&take.roll), phrase);
            assert!((take.log_likelihood - sum).abs() < 1e-9);
            assert_eq!(take.seed, 0, "one search, one seed");
        }
    }
}

#[test]
fn a_beam_streams_what_all_its_phrases_agree_on() {
    // After the rest everything is certain but the last frame, so all but a few agree early.
    let table = [[0.01, 0.98, 0.01], [0.01, 0.01, 0.98], [0.98, 0.01, 0.01]];
    let (takes, events) = compose(&mut by_last(table), &settings(beam(3), 60)).unwrap();
    let n_before_the_end =
        events.iter().take_while(|event| !matches!(event, ComposeEvent::Take { .. })).count();
    assert!(
        n_before_the_end > 20,
        "frames came while the search went on, in {n_before_the_end} parts"
    );
    assert_eq!(streamed(&events, 0), takes[0].roll);
}

#[test]
fn a_beam_says_how_far_it_is_while_its_phrases_disagree() {
    // Two phrases that are as likely as each other to the end.
    let table = [[0.02, 0.49, 0.49], [0.01, 0.98, 0.01], [0.01, 0.01, 0.98]];
    let (_, events) = compose(&mut by_last(table), &settings(beam(2), 40)).unwrap();
    let searched = events.iter().filter_map(|event| match event {
        ComposeEvent::Searched { frames } => Some(*frames),
        _ => None,
    });
    assert_eq!(searched.collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    let drawn = compose(&mut hashed(20, 3), &settings(SAMPLE, 40)).unwrap().1;
    assert!(!drawn.iter().any(|event| matches!(event, ComposeEvent::Searched { .. })));
}

#[test]
fn a_small_vocabulary_gives_as_many_beams_as_there_are_phrases() {
    let settings = ComposeSettings { takes: 10, ..settings(beam(10), 2) };
    assert_eq!(takes(&mut hashed(2, 0), &settings).len(), 4);
}

#[test]
fn the_length_penalty_changes_no_order_within_a_search() {
    let with = |length_penalty| {
        let strategy = Strategy::Beam { width: 8, length_penalty };
        let settings = ComposeSettings { takes: 8, ..settings(strategy, 12) };
        takes(&mut hashed(6, 9), &settings).into_iter().map(|take| take.roll).collect::<Vec<_>>()
    };
    assert_eq!(with(0.0), with(1.0));
    assert_eq!(with(0.0), with(2.5));
}

// ── The guard ────────────────────────────────────────────────────────────────────────────────

fn strategies() -> [Strategy; 4] {
    [
        Strategy::Max,
        SAMPLE,
        Strategy::Sample { temperature: 0.2, top_k: Some(1), top_p: Some(0.1) },
        beam(5),
    ]
}

#[test]
fn nothing_is_held_longer_than_asked_rests_included() {
    for favorite in [0, 3] {
        let scores = move |_: &[Token]| {
            (0..8).map(|token| if token == favorite { 20.0 } else { 0.0 }).collect()
        };
        for strategy in strategies() {
            let guard = Guard { longest_hold_secs: Some(1.5), no_repeat: None };
            let rate = FrameRate::new(4.0).unwrap();
            let settings = ComposeSettings { guard, rate, takes: 1, ..settings(strategy, 100) };
            let take = &takes(&mut Fake::new(8, scores), &settings)[0];
            let longest = roll_statistics(&take.roll).longest_run;
            assert!((5..=6).contains(&longest), "{strategy:?}: {longest}");
            // Nor does it come back at once.
            for frames in take.roll.windows(11) {
                let of = |chord| frames.iter().filter(|other| **other == chord).count();
                assert!(frames.iter().all(|&chord| of(chord) <= 6), "{strategy:?}");
            }
            let free = ComposeSettings { guard: Guard::OFF, ..settings };
            let free = &takes(&mut Fake::new(8, scores), &free)[0];
            assert_eq!(roll_statistics(&free.roll).longest_run, 100, "{strategy:?} unguarded");
        }
    }
}

#[test]
fn the_prime_counts_as_part_of_what_is_held() {
    let guard = Guard { longest_hold_secs: Some(1.0), no_repeat: None };
    let prime = Prime::Chords(vec![Chord::from_bits(1 << 60); 20]);
    let settings = ComposeSettings { guard, prime, ..settings(Strategy::Max, 10) };
    let mut network = Fake::new(3, |_: &[Token]| vec![0.0, 9.0, 1.0]);
    let take = &takes(&mut network, &settings)[0];
    assert_eq!(tokens_of(&take.roll)[20..], [2, 2, 2, 2, 2, 2, 2, 2, 1, 1]);
}

/// Each run of `n` different chords with holds as one, as often as it comes.
fn has_repeated_run(roll: &[Chord], n: usize) -> bool {
    let mut changes = tokens_of(roll);
    changes.dedup();
    let mut runs: Vec<&[Token]> = changes.windows(n).collect();
    runs.sort_unstable();
    runs.windows(2).any(|pair| pair[0] == pair[1])
}

#[test]
fn no_run_of_changes_comes_twice() {
    let cycle = |read: &[Token]| {
        let next = (*read.last().unwrap() + 1) % 9;
        (0..9).map(|token| if token == next { 12.0 } else { 0.0 }).collect()
    };
    for strategy in strategies() {
        for n in [2, 3, 5] {
            let guard = Guard { longest_hold_secs: Some(4.0), no_repeat: Some(n) };
            let settings = ComposeSettings { guard, ..settings(strategy, 60) };
            let (takes, events) = compose(&mut Fake::new(9, cycle), &settings).unwrap();
            assert!(!has_repeated_run(&takes[0].roll, n), "{strategy:?}, runs of {n}");
            assert_eq!(notes(&events), Vec::<&str>::new());
            let free = ComposeSettings { guard: Guard::OFF, ..settings };
            assert!(has_repeated_run(
                &compose(&mut Fake::new(9, cycle), &free).unwrap().0[0].roll,
                n
            ));
        }
    }
}

#[test]
fn a_guard_that_forbids_everything_gives_way_and_says_so_once() {
    let guard = Guard { longest_hold_secs: Some(0.25), no_repeat: Some(1) };
    for strategy in strategies() {
        let settings = ComposeSettings { guard, takes: 1, ..settings(strategy, 50) };
        let (takes, events) = compose(&mut hashed(3, 4), &settings).unwrap();
        assert_eq!(takes[0].roll.len(), 50);
        assert!(roll_statistics(&takes[0].roll).longest_run <= 2, "the hold stands");
        let notes = notes(&events);
        assert_eq!(notes.len(), 1, "{strategy:?} {notes:?}");
        assert!(notes[0].contains("repeat"), "{}", notes[0]);
    }
    let only_rests = ComposeSettings { guard, ..settings(Strategy::Max, 5) };
    let (takes, events) = compose(&mut hashed(1, 4), &only_rests).unwrap();
    assert_eq!(tokens_of(&takes[0].roll), [0; 5]);
    assert!(notes(&events)[0].contains("only one chord"));
}

// ── Primes ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_network_reads_the_rest_that_starts_every_piece_and_then_the_prime() {
    // It answers with how much it has read: nothing but the rest is 1.
    let mut network = Fake::new(9, |read: &[Token]| {
        assert_eq!(read[0], 0);
        (0..9).map(|token| if token == read.len() { 5.0 } else { 0.0 }).collect()
    });
    let silent = &takes(&mut network, &settings(Strategy::Max, 3))[0];
    assert_eq!((tokens_of(&silent.roll), silent.n_prime_frames), (vec![1, 2, 3], 0));
    let prime = Prime::Chords([8, 8, 7].map(|token| Chord::from_bits(1 << (59 + token))).to_vec());
    for strategy in [Strategy::Max, beam(3)] {
        let primed = ComposeSettings { prime: prime.clone(), ..settings(strategy, 3) };
        let primed = &takes(&mut network, &primed)[0];
        assert_eq!((tokens_of(&primed.roll), primed.n_prime_frames), (vec![8, 8, 7, 4, 5, 6], 3));
    }
}

#[test]
fn unknown_chords_of_a_prime_become_the_nearest_and_it_is_said_once() {
    let far = Chord::from_bits(1 << 60 | 1 << 90);
    let prime = Prime::Chords(vec![far, Chord::from_bits(1 << 61), far, far]);
    for strategy in [SAMPLE, beam(4)] {
        let settings = ComposeSettings { prime: prime.clone(), takes: 3, ..settings(strategy, 4) };
        let (takes, events) = compose(&mut hashed(5, 1), &settings).unwrap();
        assert!(takes.iter().all(|take| tokens_of(&take.roll)[..4] == [1, 2, 1, 1]));
        let notes = notes(&events);
        assert_eq!(
            notes,
            [
                "3 of the prime's 4 frames have chords the model doesn't know — the nearest it knows \
                 stands in: C4 for C4+F#6"
            ]
        );
        assert!(matches!(events[0], ComposeEvent::Note(_)), "before any frame");
    }
    let known =
        ComposeSettings { prime: Prime::from_pitch(Pitch::MIDDLE_C), ..settings(SAMPLE, 4) };
    assert!(notes(&compose(&mut hashed(5, 1), &known).unwrap().1).is_empty());
}

#[test]
fn an_empty_prime_is_silence_and_says_so() {
    let empty = ComposeSettings { prime: Prime::Chords(Vec::new()), ..settings(SAMPLE, 4) };
    let (from_empty, events) = compose(&mut hashed(5, 1), &empty).unwrap();
    assert_eq!(from_empty[0].roll, takes(&mut hashed(5, 1), &settings(SAMPLE, 4))[0].roll);
    assert!(notes(&events)[0].contains("silence"));
}

#[test]
fn a_random_prime_is_drawn_by_count() {
    let chords = vocabulary(4).chords().to_vec();
    let vocabulary = ChordVocabulary::new(chords, vec![1_000, 10, 0, 30]).unwrap();
    let mut counts = [0u32; 4];
    for seed in (0..40).map(|n| n * 64) {
        let settings =
            ComposeSettings { prime: Prime::Random, takes: 64, seed, ..settings(SAMPLE, 1) };
        let takes = compose_with(
            &mut hashed(4, 1),
            &vocabulary,
            &settings,
            &CancelToken::new(),
            &mut |_| {},
        );
        for take in takes.unwrap() {
            assert_eq!(take.n_prime_frames, 1);
            counts[tokens_of(&take.roll)[0] as usize] += 1;
        }
    }
    assert_eq!((counts[0], counts[2]), (0, 0), "neither rests nor what was never seen");
    let share = f64::from(counts[1]) / 2_560.0;
    assert!((share - 0.25).abs() < 0.03, "{share}");
}

#[test]
fn a_score_becomes_a_prime_at_the_rate_that_was_learned() {
    // Quarters at 120 a minute: two a second, as many as there are frames.
    let note = |n: u32, pitch| Note {
        start: Tick(n * 480),
        length: Tick(480),
        pitch: Pitch::new(pitch).unwrap(),
        velocity: Velocity::COMPOSED,
        part: 0,
    };
    let score = Score::piano(TempoMap::default(), vec![note(0, 60), note(1, 62), note(3, 64)]);
    let prime = Prime::from_score(&score, &FramingPlan::default()).unwrap();
    let chord = |pitch: u8| Chord::from_iter(Pitch::new(pitch));
    let roll = vec![chord(60), chord(62), Chord::REST, chord(64)];
    assert_eq!(prime, Prime::Chords(roll.clone()));
    let until =
        |tick| Prime::from_score_until(&score, Tick(tick), &FramingPlan::default()).unwrap();
    assert_eq!(until(720), Prime::Chords(roll[..2].to_vec()));
    assert_eq!(until(480), Prime::Chords(roll[..1].to_vec()));
    assert_eq!(until(0), Prime::Chords(Vec::new()));
    assert_eq!(until(99_999), prime);
    assert_eq!(prime.clone().opening(2), Prime::Chords(roll[..2].to_vec()));
    assert_eq!(prime.clone().ending(3), Prime::Chords(roll[1..].to_vec()));
    let bars = NonZeroU32::new(2).unwrap();
    assert_eq!(prime.clone().ending_with_bars(2, bars), Prime::Chords(roll[2..].to_vec()));
    for n in [3, 4] {
        assert_eq!(prime.clone().ending_with_bars(n, bars), prime);
    }
    // A bar longer than what is wanted isn't cut.
    let bars = NonZeroU32::new(5).unwrap();
    assert_eq!(prime.clone().ending_with_bars(1, bars), prime);
    assert_eq!(prime.clone().ending(99), prime);
    assert_eq!(Prime::from_pitch(Pitch::MIDDLE_C), Prime::from_chord(chord(60)));
}

#[test]
fn on_the_grid_a_prime_is_read_with_its_bars_and_its_tempo() {
    let note = |n: u32, pitch| Note {
        start: Tick(n * 480),
        length: Tick(480),
        pitch: Pitch::new(pitch).unwrap(),
        velocity: Velocity::COMPOSED,
        part: 0,
    };
    // Three quarters a bar and 1.5 a second; the first note is the last quarter of the first bar.
    let tempo_map = TempoMap::constant(TicksPerQuarter::DEFAULT, 666_667);
    let mut score = Score::piano(tempo_map, (2..8).map(|n| note(n, 60 + n as u8)).collect());
    let meter = |numerator| Meter { numerator, denominator_power: 2 };
    score.meters = vec![MeterChange { tick: Tick::ZERO, meter: meter(3) }];
    let grid = Grid::Beats(StepsPerQuarter::new(1).unwrap());
    let plan = |touch, frames_per_bar| ReadingPlan {
        music: PerformancePlan { frames: FramingPlan { grid, ..FramingPlan::default() }, touch },
        frames_per_bar: NonZeroU32::new(frames_per_bar),
    };
    let roll = |prime: &Prime| match prime {
        Prime::Chords(roll) => roll.clone(),
        Prime::Played(frames) => frames.iter().map(|frame| frame.sounding).collect(),
        Prime::Silence | Prime::Random => Vec::new(),
    };
    let chord = |n: u32| Chord::from_bits(1 << (60 + n));
    let rests = vec![Chord::REST; 2];
    for touch in [Touch::Kept, Touch::Ignored] {
        let read = |score: &Score, n| Prime::read(score, &plan(touch, 4), n).unwrap();
        let found = read(&score, 4);
        assert_eq!(roll(&found.prime), [rests.clone(), (2..6).map(chord).collect()].concat());
        assert_eq!(found.frames_per_bar, NonZeroU32::new(3));
        assert!((found.quarters_per_second.unwrap() - 1.5).abs() < 1e-5);
        assert!(matches!(found.prime, Prime::Played(_)) == (touch == Touch::Kept));
        // An upbeat that is a bar of its own is counted as part of a whole one.
        let mut upbeat = score.clone();
        upbeat.meters = vec![
            MeterChange { tick: Tick(2 * 480), meter: meter(1) },
            MeterChange { tick: Tick(3 * 480), meter: meter(3) },
        ];
        assert_eq!(read(&upbeat, 4), found);
        // Up to the playhead.
        let until = Prime::read_until(&score, Tick(6 * 480), &plan(touch, 4)).unwrap();
        assert_eq!(until, found);
        // Where nothing is known of bars nothing is put before.
        let free = Prime::read(&score, &plan(touch, 0), 4).unwrap();
        assert_eq!(roll(&free.prime), (2..6).map(chord).collect::<Vec<_>>());
        assert_eq!(free.frames_per_bar, None);
    }
}

// ── Streaming and stopping ───────────────────────────────────────────────────────────────────

#[test]
fn cancelling_keeps_what_was_made() {
    for strategy in [Strategy::Max, SAMPLE, beam(1), beam(4)] {
        let cancel = CancelToken::new();
        let mut events = Vec::new();
        let settings = ComposeSettings { takes: 1, ..settings(strategy, 1_000) };
        let table = [[0.01, 0.98, 0.01], [0.01, 0.01, 0.98], [0.98, 0.01, 0.01]];
        let takes =
            compose_with(&mut by_last(table), &vocabulary(3), &settings, &cancel, &mut |event| {
                events.push(event.into_owned());
                if streamed(&events, 0).len() >= 10 {
                    cancel.cancel();
                }
            });
        let takes = takes.unwrap();
        let n_frames = takes[0].roll.len();
        assert!((10..30).contains(&n_frames), "{strategy:?} stopped after {n_frames}");
        assert_eq!(streamed(&events, 0), takes[0].roll);
        assert!(takes[0].log_likelihood < 0.0);
    }
}

#[test]
fn cancelled_before_the_first_frame_there_is_no_take() {
    let cancel = CancelToken::new();
    cancel.cancel();
    for strategy in strategies() {
        let settings = ComposeSettings { prime: Prime::Random, ..settings(strategy, 10) };
        let takes =
            compose_with(&mut hashed(4, 0), &vocabulary(4), &settings, &cancel, &mut |_| {});
        assert_eq!(takes, Ok(Vec::new()));
    }
}

#[test]
fn all_takes_have_as_much_when_they_are_stopped() {
    let cancel = CancelToken::new();
    let settings = ComposeSettings { takes: 64, ..settings(SAMPLE, 20) };
    let takes = compose_with(&mut hashed(4, 0), &vocabulary(4), &settings, &cancel, &mut |event| {
        if matches!(event, ComposeEvent::Frames { take: 8, first: 5, .. }) {
            cancel.cancel();
        }
    });
    let lengths: Vec<usize> = takes.unwrap().iter().map(|take| take.roll.len()).collect();
    assert_eq!(lengths, [6; 64]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_settings_streams_are_takes_and_the_guard_holds(
        strategy in prop_oneof![
            Just(Strategy::Max),
            (0.05f64..5.0, proptest::option::of(1usize..9), proptest::option::of(0.01f64..=1.0))
                .prop_map(|(temperature, top_k, top_p)| Strategy::Sample { temperature, top_k, top_p }),
            (1usize..9).prop_map(beam),
        ],
        n_chords in 2usize..7,
        hold in proptest::option::of(0.05f64..2.0),
        no_repeat in proptest::option::of(1usize..6),
        prime in prop_oneof![
            Just(Prime::Silence),
            Just(Prime::Random),
            proptest::collection::vec(0u32..9, 0..6).prop_map(|tokens| Prime::Chords(
                tokens.into_iter().map(|token| Chord::from_bits(1 << (58 + token))).collect())),
        ],
        frames in 1usize..50,
        n_takes in 1usize..10,
        salt in 0u64..1000,
    ) {
        let width = if let Strategy::Beam { width, .. } = strategy { width } else { usize::MAX };
        let guard = Guard { longest_hold_secs: hold, no_repeat };
        let settings = ComposeSettings {
            strategy, guard, prime, frames, takes: n_takes.min(width), seed: salt,
            ..ComposeSettings::default()
        };
        let (takes, events) = compose(&mut hashed(n_chords, salt), &settings).unwrap();
        prop_assert!(!takes.is_empty());
        let whole = events.iter().filter(|event| matches!(event, ComposeEvent::Take { .. })).count();
        prop_assert_eq!(whole, takes.len());
        for (n, take) in takes.iter().enumerate() {
            prop_assert_eq!(take.roll.len(), take.n_prime_frames + frames);
            prop_assert_eq!(&streamed(&events, n), &take.roll);
            prop_assert!(take.log_likelihood.is_finite() && take.log_likelihood <= 0.0);
            let tokens = tokens_of(&take.roll);
            let (prime, phrase) = tokens.split_at(take.n_prime_frames);
            let read: Vec<Token> = std::iter::once(0).chain(prime.iter().copied()).collect();
            let own = log_likelihood(|read| hashed_scores(read, n_chords, salt), &read, phrase);
            prop_assert!((own - take.log_likelihood).abs() < 1e-6);
            if let Some(hold) = hold {
                let longest = roll_statistics(&take.roll[take.n_prime_frames..]).longest_run;
                prop_assert!(longest <= ((hold * 8.0) as usize).max(1));
            }
        }
    }
}

// ── What bad input gets ──────────────────────────────────────────────────────────────────────

#[test]
fn settings_out_of_their_limits_are_refused_in_words() {
    let sample =
        |temperature, top_k, top_p| settings(Strategy::Sample { temperature, top_k, top_p }, 10);
    let guarded = |longest_hold_secs, no_repeat| ComposeSettings {
        guard: Guard { longest_hold_secs, no_repeat },
        ..settings(SAMPLE, 10)
    };
    let penalty = Strategy::Beam { width: 2, length_penalty: f64::NAN };
    let cases = [
        (sample(0.0, None, None), "0 is not a usable temperature"),
        (sample(-1.0, None, None), "-1 is not a usable temperature"),
        (sample(f64::NAN, None, None), "NaN is not a usable temperature"),
        (sample(f64::INFINITY, None, None), "inf is not a usable temperature"),
        (sample(10.1, None, None), "up to 10,"),
        (sample(1.0, Some(0), None), "top-k 0 leaves no chord"),
        (sample(1.0, None, Some(2.0)), "2 is not a usable top-p"),
        (sample(1.0, None, Some(0.0)), "0 is not a usable top-p"),
        (sample(1.0, None, Some(f64::NAN)), "NaN is not a usable top-p"),
        (settings(beam(100_000), 10), "100000 is not a usable beam width — give between 1 and 256"),
        (settings(beam(0), 10), "0 is not a usable beam width"),
        (settings(beam(256), 100_000), "needs too much memory"),
        (settings(penalty, 10), "NaN is not a usable length penalty"),
        (ComposeSettings { takes: 3, ..settings(beam(2), 10) }, "a beam of 2 can't give 3 takes"),
        (settings(SAMPLE, 0), "0 is not a usable number of frames"),
        (settings(SAMPLE, 100_001), "give between 1 and 100000"),
        (ComposeSettings { takes: 0, ..settings(SAMPLE, 10) }, "0 is not a usable number of takes"),
        (ComposeSettings { takes: 65, ..settings(SAMPLE, 10) }, "between 1 and 64"),
        (guarded(Some(0.0), None), "0 is not a usable longest hold"),
        (guarded(Some(f64::NAN), None), "NaN is not a usable longest hold"),
        (guarded(Some(f64::INFINITY), None), "inf is not a usable longest hold"),
        (guarded(None, Some(0)), "0 is not a usable length for runs"),
        (
            ComposeSettings {
                prime: Prime::Chords(vec![Chord::REST; 100_001]),
                ..settings(SAMPLE, 10)
            },
            "a prime of 100001 frames is too long",
        ),
    ];
    for (settings, words) in cases {
        let error = compose(&mut hashed(3, 0), &settings).expect_err(words).to_string();
        assert!(error.contains(words), "“{error}” says “{words}”");
        assert!(
            error.contains(" — ") && !error.contains('\n') && !error.contains("  "),
            "“{error}”"
        );
        assert_eq!(settings.validate().expect_err(words).to_string(), error);
    }
}

#[test]
fn the_least_and_the_most_that_is_allowed_works() {
    for settings in [
        settings(
            Strategy::Sample {
                temperature: f64::MIN_POSITIVE,
                top_k: Some(usize::MAX),
                top_p: Some(1.0),
            },
            1,
        ),
        settings(
            Strategy::Sample { temperature: 10.0, top_k: Some(1), top_p: Some(f64::MIN_POSITIVE) },
            1,
        ),
        settings(beam(256), 3),
    ] {
        assert_eq!(takes(&mut hashed(60, 0), &settings)[0].roll.len(), settings.frames);
    }
}

#[test]
fn scores_that_are_no_numbers_are_an_error() {
    for strategy in strategies() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let scores =
                move |read: &[Token]| vec![0.0, if read.len() == 4 { bad } else { 1.0 }, 0.5];
            let error = compose(&mut Fake::new(3, scores), &settings(strategy, 10)).unwrap_err();
            assert!(matches!(error, ComposeError::NotFinite { frame: 3, token: 1, .. }), "{error}");
            assert!(error.to_string().contains("choose another checkpoint"));
        }
    }
}

#[test]
fn huge_scores_are_no_trouble() {
    for strategy in strategies() {
        let scores = |_: &[Token]| vec![f32::MAX, f32::MIN, 0.0, f32::MAX];
        let take = &takes(&mut Fake::new(4, scores), &settings(strategy, 10))[0];
        assert!(take.log_likelihood.is_finite());
        assert!(tokens_of(&take.roll).iter().all(|token| [0, 3].contains(token)), "{strategy:?}");
    }
}

#[test]
fn a_network_of_another_size_is_refused() {
    let mut network = hashed(3, 0);
    let none = &mut |_: ComposeEvent<'_>| {};
    let error =
        compose_with(&mut network, &vocabulary(4), &settings(SAMPLE, 2), &CancelToken::new(), none);
    assert_eq!(error, Err(ComposeError::Shape { given: 3, expected: 4 }));
    let mut short = Fake::new(3, |_: &[Token]| vec![0.0; 2]);
    let error = compose(&mut short, &settings(SAMPLE, 2)).unwrap_err();
    assert_eq!(error, ComposeError::Shape { given: 2, expected: 3 });
}
