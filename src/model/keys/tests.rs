//! The second family beside burn's autodiff, enumeration and itself in other batches.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};

use super::batch::{KeyBatch, ask, hear};
use super::config::LENGTHS;
use super::heard::Heard;
use super::loss::{Masks, gradients, read, spell, surprise_of_keys};
use super::measure::{KeyPiece, measure};
use super::speller::{Question, Spelled};
use super::touch::{self, ask_touch, touch_loss};
use super::{Alphabet, KeyConfig, KeyNetwork, Speller};
use crate::cancel::CancelToken;
use crate::model::kernels::Kernels;
use crate::model::random::{self, Purpose};
use crate::model::weights::numbers;
use crate::music::Velocity;
use crate::tokens::{Chord, KeyFrame, KeyRun};

type Recorded = Autodiff<Flex>;

const N_ROWS: usize = 2;
/// More than one block.
const N_STEPS: usize = 11;

fn config(layers: usize, key_hidden: usize) -> KeyConfig {
    let alphabet = Alphabet::OffOn;
    KeyConfig { layers, hidden: 6, key_hidden, spell_hidden: 7, alphabet, has_clock: true }
}

/// The same with touch.
fn full(layers: usize, key_hidden: usize) -> KeyConfig {
    KeyConfig { alphabet: Alphabet::Full, has_clock: false, ..config(layers, key_hidden) }
}

fn network(config: KeyConfig) -> KeyNetwork<Flex> {
    KeyNetwork::new(config, 7, &Default::default())
}

fn chord(pitches: &[u32]) -> Chord {
    Chord::from_bits(pitches.iter().map(|pitch| 1u128 << pitch).sum())
}

/// Some frames with touch; half of the strikes of a key that sounded before strike it again, and
/// of every third frame nobody knows how hard.
fn piece(n: usize) -> Vec<KeyFrame> {
    let mut before = Chord::REST;
    (0..n as u32)
        .map(|t| {
            let sounding = chord(&[40 + t % 5, 60 + t * t % 7, 21 + t % 3, 108]);
            let again = if t % 2 == 0 { sounding } else { Chord::REST };
            let struck = sounding.difference(before).union(again);
            before = sounding;
            let velocity = |idx: usize| Velocity::new(30 + (t as usize * 7 + idx * 20) as u8 % 90);
            let n_known = if t % 3 == 0 { 0 } else { struck.len() };
            let velocities = (0..n_known).filter_map(velocity).collect();
            KeyFrame { sounding, struck, velocities, pedal: t % 4 < 2 }
        })
        .collect()
}

fn batch(config: &KeyConfig) -> KeyBatch {
    let n = N_ROWS * N_STEPS;
    let mut weights = vec![1.0; n];
    weights[n - 1] = 0.0;
    KeyBatch {
        n_rows: N_ROWS,
        n_steps: N_STEPS,
        frames: piece(n + N_ROWS),
        lengths: lengths(config, n + N_ROWS),
        clocks: if config.has_clock { (0..n as u32).collect() } else { Vec::new() },
        weights,
        continues: vec![false; N_ROWS],
    }
}

/// A whole piece in one row.
fn whole(config: &KeyConfig, frames: &[KeyFrame]) -> KeyBatch {
    let n = frames.len();
    KeyBatch {
        n_rows: 1,
        n_steps: n,
        frames: std::iter::once(KeyFrame::default()).chain(frames.iter().cloned()).collect(),
        lengths: std::iter::once(1)
            .chain(lengths(config, n))
            .take(lengths(config, n + 1).len())
            .collect(),
        clocks: clocks(config, n),
        weights: vec![1.0; n],
        continues: vec![false],
    }
}

fn clocks(config: &KeyConfig, n: usize) -> Vec<u32> {
    if config.has_clock { (0..n as u32).collect() } else { Vec::new() }
}

/// How long the frames of a piece last, where that is said.
fn lengths(config: &KeyConfig, n: usize) -> Vec<u32> {
    match config.alphabet {
        Alphabet::OffOn => Vec::new(),
        Alphabet::Full => (0..n).map(length).collect(),
    }
}

fn length(idx: usize) -> u32 {
    [1, 4, 2, 32, 1, 7][idx % 6]
}

fn key_piece(config: &KeyConfig, frames: &[KeyFrame]) -> KeyPiece {
    let n = frames.len();
    KeyPiece { frames: frames.to_vec(), lengths: lengths(config, n), clocks: clocks(config, n) }
}

fn masks(config: &KeyConfig) -> Vec<Vec<f32>> {
    let mut rng = random::stream(1, Purpose::Dropout, 0);
    let shapes = config.mask_shapes(N_ROWS);
    shapes.iter().map(|[rows, n]| random::dropout_mask(&mut rng, rows * n, 0.4)).collect()
}

fn tensors<B: burn::tensor::backend::Backend>(
    values: &[Vec<f32>],
    shapes: &[[usize; 2]],
) -> Vec<Tensor<B, 2>> {
    let tensor = |(values, shape): (&Vec<f32>, &[usize; 2])| {
        Tensor::from_data(TensorData::new(values.clone(), *shape), &Default::default())
    };
    values.iter().zip(shapes).map(tensor).collect()
}

/// The same loss recorded by burn's autodiff.
fn recorded_gradients(config: KeyConfig) -> Vec<Vec<f32>> {
    let shapes: Vec<_> = config.parameter_shapes().into_iter().map(|(_, shape)| shape).collect();
    let values = network(config).parameters().into_iter().map(|it| numbers(it.into_data()));
    let parameters = tensors::<Recorded>(&values.collect::<Vec<_>>(), &shapes);
    let parameters: Vec<_> = parameters.into_iter().map(Tensor::require_grad).collect();
    let network = KeyNetwork::from_parameters(config, parameters.clone());
    let masks = tensors::<Recorded>(&masks(&config), &config.mask_shapes(N_ROWS));
    let batch = batch(&config);
    let mut tops = Vec::new();
    let mut states = network.zero_state(N_ROWS).into_iter();
    let mut idx = 0;
    for (layers, mut x) in network.towers.iter().zip(hear(&network, &batch)) {
        for layer in layers {
            let y = layer.forward(x, states.next().unwrap(), &mut Kernels::new()).0;
            let mask = &masks[idx];
            let [n, width] = y.dims();
            let mask = mask.clone().repeat_dim(0, n / mask.dims()[0]);
            x = y.reshape([n, width]) * mask;
            idx += 1;
        }
        tops.push(x);
    }
    let asked = ask(config.alphabet, &batch, 0..N_STEPS, &Default::default());
    let log_odds = spell(&network, &asked, &tops, &Masks(&masks)).log_odds;
    let weights = TensorData::new(batch.weights.clone(), [batch.weights.len(), 1]);
    let weights = Tensor::<Recorded, 2>::from_data(weights, &Default::default());
    let mut loss = (surprise_of_keys(log_odds, &asked) * weights).sum();
    if let Some(touch) = &network.touch {
        let asked_touch = ask_touch(&batch, 0..N_STEPS, &Default::default());
        let of_touch = touch_loss(&network, touch, &asked_touch, &tops);
        loss = loss + of_touch.velocity.sum() + of_touch.pedal.sum() + of_touch.length.sum();
    }
    let recorded = loss.div_scalar(batch.n_frames() as f32).backward();
    let gradient = |parameter: &Tensor<Recorded, 2>| {
        numbers(parameter.grad(&recorded).expect("every parameter takes part").into_data())
    };
    parameters.iter().map(gradient).collect()
}

#[test]
fn gradients_are_those_of_autodiff() {
    for config in [config(1, 5), config(2, 3), config(2, 0), full(1, 4), full(2, 0)] {
        let (network, batch) = (network(config), batch(&config));
        let masks = tensors::<Flex>(&masks(&config), &config.mask_shapes(N_ROWS));
        for mut kernels in [Kernels::of_burn_for_tests(), Kernels::fused_for_tests()] {
            let (state, n) = (network.zero_state(N_ROWS), batch.n_frames());
            let cancel = CancelToken::new();
            let ours = gradients(&network, &batch, state, &masks, n, &mut kernels, &cancel);
            let expected = recorded_gradients(config);
            let names = config.parameter_shapes();
            for ((ours, expected), (name, shape)) in
                ours.unwrap().gradients.into_iter().zip(expected).zip(names)
            {
                assert_eq!(ours.dims(), shape, "{name}");
                let ours = numbers(ours.into_data());
                for (ours, expected) in ours.iter().zip(&expected) {
                    let distance = (ours - expected).abs();
                    assert!(distance <= 2e-6 + 1e-4 * expected.abs(), "{name}: {ours}, {expected}");
                }
            }
        }
    }
}

#[test]
fn parts_of_a_batch_gather_to_the_whole() {
    let config = full(1, 4);
    let (network, batch) = (network(config), batch(&config));
    let mut kernels = Kernels::of_burn_for_tests();
    let mut totals = |batch: &KeyBatch| {
        let state = network.zero_state(batch.n_rows);
        let cancel = CancelToken::new();
        let part = gradients(&network, batch, state, &[], 5, &mut kernels, &cancel).unwrap();
        let gradients: Vec<f32> =
            part.gradients.into_iter().flat_map(|it| numbers(it.into_data())).collect();
        (numbers(part.totals.into_data()), gradients)
    };
    let whole = totals(&batch);
    let (left, right) = (totals(&batch.rows(0, 1)), totals(&batch.rows(1, 1)));
    assert!((left.0[0] + right.0[0] - whole.0[0]).abs() < 1e-3);
    for ((left, right), whole) in left.1.iter().zip(&right.1).zip(&whole.1) {
        assert!((left + right - whole).abs() < 1e-5);
    }
}

/// The log-odds of every question of a frame after some frames, whatever the frame is.
fn log_odds(network: &KeyNetwork<Flex>, past: &[KeyFrame], frame: KeyFrame) -> Vec<f32> {
    let frames: Vec<KeyFrame> = past.iter().cloned().chain([frame]).collect();
    let batch = whole(&network.config, &frames);
    let state = network.zero_state(1);
    let mut kernels = Kernels::of_burn_for_tests();
    let (tops, _) = read(network, Heard::of(network, &batch, None), state, &mut kernels);
    let alphabet = network.config.alphabet;
    let asked = ask(alphabet, &batch, 0..batch.n_steps, &Default::default());
    let all = numbers(spell(network, &asked, &tops, &Masks(&[])).log_odds.into_data());
    all[all.len() - 88 * alphabet.n_questions()..].to_vec()
}

fn share(log_odds: f32, is_yes: bool) -> f64 {
    let share = 1.0 / (1.0 + f64::from(-log_odds).exp());
    if is_yes { share } else { 1.0 - share }
}

#[test]
fn the_probabilities_of_all_chords_of_a_small_keyboard_sum_to_one() {
    // A key's probability depends on the keys below it alone: so the ten lowest are a keyboard of
    // their own, and what holds for them holds for one key more.
    let network = network(config(1, 4));
    let past = piece(4);
    let mut sum = 0.0;
    for bits in 0..1u128 << 10 {
        let sounding = Chord::from_bits(bits << 21);
        let odds = log_odds(&network, &past, KeyFrame { sounding, ..KeyFrame::default() });
        sum += (0..10).map(|key| share(odds[key], bits >> key & 1 == 1)).product::<f64>();
    }
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
}

#[test]
fn the_probabilities_of_all_frames_with_strikes_sum_to_one() {
    // Off, held on and struck for each of the four lowest keys, two of which sounded before and so
    // can be held.
    let network = network(full(1, 4));
    let mut past = piece(4);
    past[3].sounding = chord(&[22, 24, 60]);
    let (mut sum, mut n) = (0.0, 0);
    for bits in 0..1u128 << 4 {
        for strikes in 0..1u128 << 4 {
            let new = bits & !0b1010;
            if strikes & !bits != 0 || strikes & new != new {
                continue;
            }
            let (sounding, struck) =
                (Chord::from_bits(bits << 21), Chord::from_bits(strikes << 21));
            let odds = log_odds(&network, &past, KeyFrame { sounding, struck, ..past[0].clone() });
            let of_key = |key: usize| {
                let sounds = bits >> key & 1 == 1;
                let can_be_held = sounds && 0b1010 >> key & 1 == 1;
                let struck = strikes >> key & 1 == 1;
                let again = if can_be_held { share(odds[2 * key + 1], struck) } else { 1.0 };
                share(odds[2 * key], sounds) * again
            };
            sum += (0..4).map(of_key).product::<f64>();
            n += 1;
        }
    }
    assert_eq!(n, 2 * 2 * 3 * 3);
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
}

#[test]
fn a_key_knows_nothing_of_itself_and_the_keys_above() {
    for config in [config(1, 4), full(1, 4)] {
        let network = network(config);
        let past = piece(4);
        let odds = |keys: &[u32]| {
            let sounding = chord(keys);
            let frame = KeyFrame { sounding, struck: sounding, ..KeyFrame::default() };
            log_odds(&network, &past, frame)
        };
        let (odds, above) = (odds(&[40, 52, 60]), odds(&[40, 52, 53, 70]));
        // 53 is key 32: up to it everything below is the same.
        let n = config.alphabet.n_questions();
        assert_eq!(odds[..33 * n], above[..33 * n]);
        assert_ne!(odds[33 * n..], above[33 * n..]);
    }
}

#[test]
fn what_is_measured_is_the_loss_that_is_learned() {
    for config in [config(2, 3), full(1, 3)] {
        let network = network(config);
        let pieces = [piece(9), piece(300), piece(40)];
        let measurable: Vec<KeyPiece> =
            pieces.iter().map(|piece| key_piece(&config, piece)).collect();
        let mut kernels = Kernels::of_burn_for_tests();
        let measured = measure(&network, &measurable, &mut kernels, &CancelToken::new()).unwrap();
        let (mut nll, mut nll_touch) = (0.0, 0.0);
        for piece in &pieces {
            let (state, cancel) = (network.zero_state(1), CancelToken::new());
            let batch = whole(&config, piece);
            let learned = gradients(&network, &batch, state, &[], 1, &mut kernels, &cancel);
            let totals = numbers(learned.unwrap().totals.into_data());
            nll += f64::from(totals[0]);
            nll_touch += f64::from(totals[2..].iter().sum::<f32>());
        }
        let n_frames: usize = match config.alphabet {
            Alphabet::OffOn => 349,
            Alphabet::Full => {
                let of_piece =
                    |piece: &Vec<KeyFrame>| -> u32 { (0..piece.len()).map(length).sum() };
                pieces.iter().map(of_piece).sum::<u32>() as usize
            }
        };
        assert_eq!(measured.n_frames, n_frames);
        assert_eq!(measured.nll_length > 0.0, config.alphabet == Alphabet::Full);
        let touch = measured.nll_velocity + measured.nll_pedal;
        assert_eq!(touch > 0.0, config.alphabet == Alphabet::Full);
        for (ours, learned) in [(measured.nll, nll), (touch, nll_touch)] {
            assert!((ours - learned).abs() <= 1e-5 * learned, "{ours} for {learned}");
        }
    }
}

#[test]
fn a_piece_comes_back_to_itself_and_to_no_other_beside_it() {
    let measured = |config, lengths: &[usize]| {
        let pieces = lengths.iter().map(|&n| key_piece(&config, &piece(n)));
        let (mut kernels, cancel) = (Kernels::of_burn_for_tests(), CancelToken::new());
        measure(&network(config), &pieces.collect::<Vec<_>>(), &mut kernels, &cancel).unwrap()
    };
    // The same 105 frames again and again.
    let lengths = [300, 140, 90];
    let together = measured(config(1, 3), &lengths);
    let each = lengths.map(|n| measured(config(1, 3), &[n]));
    let recalled = together.nll_recalled.unwrap();
    let sum: f64 = each.iter().filter_map(|measured| measured.nll_recalled).sum();
    assert!((recalled - sum).abs() < 1e-5 * sum, "{recalled} for {sum}");
    assert!(each[0].nll_recalled.unwrap() < 0.4 * each[0].nll);
    assert_eq!(each[2].nll_recalled, Some(each[2].nll), "90 frames repeat nothing");
    assert_eq!(measured(full(1, 3), &lengths).nll_recalled, None);
}

/// A speller that has read the rest that starts every piece, and some frames.
fn after(network: &KeyNetwork<Flex>, past: &[KeyFrame]) -> Speller {
    let mut speller = Speller::new(network);
    speller.read(0, &KeyRun::single(KeyFrame::default()));
    let lengths = lengths(&network.config, past.len());
    for (idx, frame) in past.iter().enumerate() {
        let length = lengths.get(idx).copied().unwrap_or(1);
        speller.read(0, &KeyRun { frame: frame.clone(), length });
    }
    speller
}

/// The answers that spell a frame.
fn spelled_as(speller: &Speller, frame: &KeyFrame) -> Spelled {
    speller.spell(0, &mut |decision| {
        let of = match decision.question {
            Question::Sounds => frame.sounding,
            Question::StruckAgain => frame.struck,
        };
        of.bits() >> (decision.key + 21) & 1 == 1
    })
}

#[test]
fn what_is_spelled_has_the_probability_that_is_measured() {
    for config in [config(1, 4), config(2, 0), full(1, 4)] {
        let network = network(config);
        let past = piece(5);
        let speller = after(&network, &past);
        let sounding = chord(&[21, 40, 52, 53, 108]);
        let struck = sounding.difference(past[4].sounding).union(chord(&[108]));
        let velocities: Vec<Velocity> =
            (0..struck.len()).filter_map(|idx| Velocity::new(20 + 25 * idx as u8)).collect();
        let frame = KeyFrame { sounding, struck, velocities, pedal: true };
        let spelled = spelled_as(&speller, &frame);
        assert_eq!(spelled.chord, sounding);
        let mut ours = spelled.log_probability;
        if config.alphabet == Alphabet::Full {
            assert_eq!(spelled.struck, struck);
            let mut levels = frame.velocities.iter().map(|&velocity| touch::level(velocity));
            let (played, of_velocities) =
                speller.velocities(0, &spelled, &mut |_| levels.next().unwrap());
            let pairs = played.iter().zip(&frame.velocities);
            assert!(pairs.clone().count() == struck.len());
            assert!(pairs.clone().all(|(a, b)| a.number().abs_diff(b.number()) <= 4));
            let odds = speller.pedal_log_odds(0, &spelled).unwrap();
            ours += of_velocities + share(odds, frame.pedal).ln();
            let lengths = speller.lengths(0, &spelled, &frame.velocities, frame.pedal).unwrap();
            let sum: f64 = lengths.iter().map(|&score| f64::from(score).exp()).sum();
            assert!(lengths.len() == LENGTHS && (sum - 1.0).abs() < 1e-5, "{sum}");
            ours += f64::from(lengths[length(5) as usize - 1]);
        }
        let of_piece = |n: usize| {
            let frames: Vec<KeyFrame> = past.iter().chain([&frame]).take(n).cloned().collect();
            let (mut kernels, cancel) = (Kernels::of_burn_for_tests(), CancelToken::new());
            let pieces = [key_piece(&config, &frames)];
            let found = measure(&network, &pieces, &mut kernels, &cancel).unwrap();
            found.nll + found.nll_velocity + found.nll_pedal
        };
        let measured = of_piece(6) - of_piece(5);
        assert!((ours + measured).abs() < 2e-3, "{ours}, {measured}");
    }
}

#[test]
fn candidates_are_the_likeliest_frames() {
    for config in [config(1, 4), full(1, 4)] {
        let network = network(config);
        let speller = after(&network, &piece(5));
        let found = speller.candidates(0, 12, None, f64::NEG_INFINITY);
        assert_eq!(found.len(), 12);
        assert!(found.windows(2).all(|pair| pair[0].log_probability >= pair[1].log_probability));
        let greedy = speller.spell(0, &mut |decision| decision.log_odds > 0.0);
        assert!(found[0].log_probability >= greedy.log_probability - 1e-9);
        for candidate in &found {
            let (sounding, struck) = (candidate.chord, candidate.struck);
            let again = spelled_as(&speller, &KeyFrame { sounding, struck, ..KeyFrame::default() });
            assert_eq!((again.chord, again.struck), (sounding, struck));
            assert!((again.log_probability - candidate.log_probability).abs() < 1e-6);
        }
        let mut frames: Vec<(Chord, Chord)> =
            found.iter().map(|candidate| (candidate.chord, candidate.struck)).collect();
        frames.sort_unstable();
        frames.dedup();
        assert_eq!(frames.len(), 12);
        let unlike = found[0].chord;
        for (idx, least) in found.iter().map(|it| it.log_probability).enumerate() {
            assert_eq!(speller.candidates(0, 12, None, least), found[..=idx]);
        }
        let others = speller.candidates(0, 12, Some(unlike), f64::NEG_INFINITY);
        assert!(others.len() >= 12 && others.iter().all(|it| it.chord != unlike));
        let next = found.iter().find(|it| it.chord != unlike).expect("another chord was found");
        assert!(others[0].log_probability >= next.log_probability);
    }
}

#[test]
fn hypotheses_that_read_together_read_the_same_as_alone() {
    for config in [config(2, 4), full(1, 3), full(1, 0)] {
        let network = network(config);
        for kernels in [Kernels::of_burn_for_tests, Kernels::fused_for_tests] {
            let spellers = || Speller::with_kernels(&network, kernels());
            let (mut together, mut alone) = (spellers(), spellers());
            let frames = piece(9);
            for runs in frames.chunks(3) {
                together.start(4);
                alone.start(4);
                // The third is left out, and each has read another run before.
                let runs: Vec<(usize, KeyRun)> = [0, 3, 1]
                    .into_iter()
                    .zip(runs.iter().cloned())
                    .map(|(idx, frame)| (idx, KeyRun { frame, length: 1 + idx as u32 }))
                    .collect();
                for (row, frame) in frames.iter().take(4).enumerate() {
                    let before = KeyRun::single(frame.clone());
                    together.read(row, &before);
                    alone.read(row, &before);
                }
                together.read_together(&runs);
                runs.iter().for_each(|(idx, run)| alone.read(*idx, run));
                for row in 0..4 {
                    for (ours, expected) in said(&together, row).iter().zip(said(&alone, row)) {
                        assert!((ours - expected).abs() < 1e-5, "{ours} for {expected}");
                    }
                }
            }
        }
    }
}

/// All that a speller says of a hypothesis, answered in one way.
fn said(speller: &Speller, hypothesis: usize) -> Vec<f32> {
    let mut said = Vec::new();
    let spelled = speller.spell(hypothesis, &mut |decision| {
        said.push(decision.log_odds);
        decision.key % 9 == 0
    });
    let (velocities, _) = speller.velocities(hypothesis, &spelled, &mut |scores| {
        said.extend_from_slice(scores);
        3
    });
    said.extend(speller.pedal_log_odds(hypothesis, &spelled));
    said.extend(speller.lengths(hypothesis, &spelled, &velocities, true).into_iter().flatten());
    said
}

#[test]
fn a_hypothesis_is_the_same_alone_and_among_others() {
    let network = network(config(1, 4));
    let frame = |key: u32| KeyFrame { sounding: chord(&[key]), ..KeyFrame::default() };
    let run = |key: u32| KeyRun::single(frame(key));
    let mut together = Speller::new(&network);
    together.start(2);
    let mut read = |runs: &[KeyRun]| {
        runs.iter().enumerate().for_each(|(row, run)| together.read(row, run));
    };
    let rest = KeyRun::single(KeyFrame::default());
    read(&[rest.clone(), rest]);
    read(&[run(60), run(61)]);
    together.select(&[1, 0, 1]);
    (0..3).for_each(|row| together.read(row, &run(62)));
    let odds = |speller: &Speller, row: usize| {
        let mut odds = Vec::new();
        speller.spell(row, &mut |decision| {
            odds.push(decision.log_odds);
            decision.key % 9 == 0
        });
        odds
    };
    let alone = |first: u32| odds(&after(&network, &[frame(first), frame(62)]), 0);
    assert_eq!(odds(&together, 0), alone(61));
    assert_eq!(odds(&together, 1), alone(60));
    assert_eq!(odds(&together, 2), alone(61));
}
