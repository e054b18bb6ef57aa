//! The second family beside burn's autodiff, enumeration and itself in other batches.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};

use super::loss::{KeyBatch, Masks, ask, gradients, hear, read, spell, surprise};
use super::measure::measure;
use super::{Alphabet, KeyConfig, KeyNetwork, Speller};
use crate::cancel::CancelToken;
use crate::model::kernels::Kernels;
use crate::model::random::{self, Purpose};
use crate::model::weights::numbers;
use crate::tokens::Chord;

type Recorded = Autodiff<Flex>;

const N_ROWS: usize = 2;
/// More than one block.
const N_STEPS: usize = 11;

fn config(layers: usize, key_hidden: usize) -> KeyConfig {
    KeyConfig { layers, hidden: 6, key_hidden, spell_hidden: 7, alphabet: Alphabet::OffOn }
}

fn network(config: KeyConfig) -> KeyNetwork<Flex> {
    KeyNetwork::new(config, 7, &Default::default())
}

fn chord(pitches: &[u32]) -> Chord {
    Chord::from_bits(pitches.iter().map(|pitch| 1u128 << pitch).sum())
}

fn piece(n: usize) -> Vec<Chord> {
    (0..n as u32).map(|t| chord(&[40 + t % 5, 60 + t * t % 7, 21 + t % 3, 108])).collect()
}

fn batch() -> KeyBatch {
    let n = N_ROWS * N_STEPS;
    let mut weights = vec![1.0; n];
    weights[n - 1] = 0.0;
    KeyBatch {
        n_rows: N_ROWS,
        n_steps: N_STEPS,
        sounding: piece(n + N_ROWS),
        first: vec![0, 17],
        weights,
        continues: vec![false; N_ROWS],
    }
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
    let batch = batch();
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
    let asked = ask(&batch, 0..N_STEPS, &Default::default());
    let log_odds = spell(&network, &asked, &tops, &Masks(&masks)).log_odds;
    let weights = TensorData::new(batch.weights.clone(), [batch.weights.len(), 1]);
    let weights = Tensor::<Recorded, 2>::from_data(weights, &Default::default());
    let loss = (surprise(log_odds, asked.truth).sum_dim(1) * weights).sum();
    let recorded = loss.div_scalar(batch.n_frames() as f32).backward();
    let gradient = |parameter: &Tensor<Recorded, 2>| {
        numbers(parameter.grad(&recorded).expect("every parameter takes part").into_data())
    };
    parameters.iter().map(gradient).collect()
}

#[test]
fn gradients_are_those_of_autodiff() {
    for config in [config(1, 5), config(2, 3), config(2, 0)] {
        let (network, batch) = (network(config), batch());
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
    let config = config(1, 4);
    let (network, batch) = (network(config), batch());
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

/// What a network says of the keys of a frame after some frames, whichever chord the frame is.
fn log_odds(network: &KeyNetwork<Flex>, past: &[Chord], frame: Chord) -> Vec<f32> {
    let mut sounding = vec![Chord::REST];
    sounding.extend(past);
    sounding.push(frame);
    let batch = KeyBatch {
        n_rows: 1,
        n_steps: sounding.len() - 1,
        weights: vec![1.0; sounding.len() - 1],
        sounding,
        first: vec![0],
        continues: vec![false],
    };
    let state = network.zero_state(1);
    let mut kernels = Kernels::of_burn_for_tests();
    let (tops, _) = read(network, hear(network, &batch), state, &mut kernels);
    let asked = ask(&batch, 0..batch.n_steps, &Default::default());
    let all = numbers(spell(network, &asked, &tops, &Masks(&[])).log_odds.into_data());
    all[all.len() - 88..].to_vec()
}

#[test]
fn the_probabilities_of_all_chords_of_a_small_keyboard_sum_to_one() {
    // A key's probability depends on the keys below it alone: so the ten lowest are a keyboard of
    // their own, and what holds for them holds for one key more.
    let network = network(config(1, 4));
    let past = piece(4);
    let mut sum = 0.0;
    for bits in 0..1u128 << 10 {
        let odds = log_odds(&network, &past, Chord::from_bits(bits << 21));
        let of_key = |key: usize| {
            let sounds = 1.0 / (1.0 + f64::from(-odds[key]).exp());
            if bits >> key & 1 == 1 { sounds } else { 1.0 - sounds }
        };
        sum += (0..10).map(of_key).product::<f64>();
    }
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
}

#[test]
fn a_key_knows_nothing_of_itself_and_the_keys_above() {
    let network = network(config(1, 4));
    let (past, frame) = (piece(4), chord(&[40, 52, 60]));
    let odds = log_odds(&network, &past, frame);
    let above = log_odds(&network, &past, chord(&[40, 52, 53, 70]));
    // 53 is key 32: up to it everything below is the same.
    assert_eq!(odds[..=32], above[..=32]);
    assert_ne!(odds[33..], above[33..]);
}

#[test]
fn what_is_measured_is_the_loss_that_is_learned() {
    let network = network(config(2, 3));
    let pieces = [piece(9), piece(300), piece(40)];
    let pieces: Vec<&[Chord]> = pieces.iter().map(Vec::as_slice).collect();
    let mut kernels = Kernels::of_burn_for_tests();
    let measured = measure(&network, &pieces, &mut kernels, &CancelToken::new()).unwrap();
    let mut nll = 0.0;
    for piece in &pieces {
        let mut sounding = vec![Chord::REST];
        sounding.extend(*piece);
        let batch = KeyBatch {
            n_rows: 1,
            n_steps: piece.len(),
            sounding,
            first: vec![0],
            weights: vec![1.0; piece.len()],
            continues: vec![false],
        };
        let (state, cancel) = (network.zero_state(1), CancelToken::new());
        let whole = gradients(&network, &batch, state, &[], 1, &mut kernels, &cancel).unwrap();
        nll += f64::from(numbers(whole.totals.into_data())[0]);
    }
    assert_eq!(measured.n_frames, 349);
    assert!((measured.nll / nll - 1.0).abs() < 1e-5, "{} for {nll}", measured.nll);
}

/// A speller that has read the rest that starts every piece, and some frames.
fn after(network: &KeyNetwork<Flex>, past: &[Chord]) -> Speller {
    let mut speller = Speller::new(network);
    speller.read(&[Chord::REST]);
    past.iter().for_each(|&frame| speller.read(&[frame]));
    speller
}

#[test]
fn what_is_spelled_has_the_probability_that_is_measured() {
    for config in [config(1, 4), config(2, 0)] {
        let network = network(config);
        let past = piece(5);
        let speller = after(&network, &past);
        let frame = chord(&[21, 40, 52, 53, 108]);
        let expected = log_odds(&network, &past, frame);
        let spelled = speller.spell(0, &mut |decision| {
            let expected = expected[decision.key];
            assert!((decision.log_odds - expected).abs() < 1e-4, "{decision:?}, {expected}");
            frame.bits() >> (decision.key + 21) & 1 == 1
        });
        assert_eq!(spelled.chord, frame);
        let of_piece = |n: usize| {
            let frames: Vec<Chord> = past.iter().copied().chain([frame]).take(n).collect();
            let (mut kernels, cancel) = (Kernels::of_burn_for_tests(), CancelToken::new());
            measure(&network, &[&frames], &mut kernels, &cancel).unwrap().nll
        };
        let measured = of_piece(6) - of_piece(5);
        assert!((spelled.log_probability + measured).abs() < 1e-3);
    }
}

#[test]
fn candidates_are_the_likeliest_frames() {
    let network = network(config(1, 4));
    let speller = after(&network, &piece(5));
    let found = speller.candidates(0, 12);
    assert_eq!(found.len(), 12);
    assert!(found.windows(2).all(|pair| pair[0].log_probability >= pair[1].log_probability));
    let greedy = speller.spell(0, &mut |decision| decision.log_odds > 0.0);
    assert!(found[0].log_probability >= greedy.log_probability - 1e-9);
    for candidate in &found {
        let again = speller
            .spell(0, &mut |decision| candidate.chord.bits() >> (decision.key + 21) & 1 == 1);
        assert!((again.log_probability - candidate.log_probability).abs() < 1e-6);
    }
    let mut chords: Vec<Chord> = found.iter().map(|candidate| candidate.chord).collect();
    chords.dedup();
    assert_eq!(chords.len(), 12);
}

#[test]
fn a_hypothesis_is_the_same_alone_and_among_others() {
    let network = network(config(1, 4));
    let mut together = Speller::new(&network);
    together.start(2);
    together.read(&[Chord::REST; 2]);
    together.read(&[chord(&[60]), chord(&[61])]);
    together.select(&[1, 0, 1]);
    together.read(&[chord(&[62]); 3]);
    let odds = |speller: &Speller, row: usize| {
        let mut odds = Vec::new();
        speller.spell(row, &mut |decision| {
            odds.push(decision.log_odds);
            decision.key % 9 == 0
        });
        odds
    };
    let alone = |first: u32| odds(&after(&network, &[chord(&[first]), chord(&[62])]), 0);
    assert_eq!(odds(&together, 0), alone(61));
    assert_eq!(odds(&together, 1), alone(60));
    assert_eq!(odds(&together, 2), alone(61));
}
