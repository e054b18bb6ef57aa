//! Slides beside the rows that they stand for, and networks with them beside burn's operations.

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::super::config::{KeyConfig, LOWEST};
use super::super::features::{write_classes, write_keys, write_lower};
use super::super::loss::gradients;
use super::super::measure::{KeyPiece, measure};
use super::super::speller::Speller;
use super::*;
use crate::cancel::CancelToken;
use crate::model::kernels::KernelChoice;
use crate::model::measured::Measured;
use crate::model::random::{self, Purpose};
use crate::model::weights::numbers;
use crate::music::Velocity;
use crate::tokens::{Chord, KeyFrame, KeyRun};

const ALPHABETS: [Alphabet; 2] = [Alphabet::OffOn, Alphabet::Full];
const HEARINGS: [Hearing; 3] = [Hearing::Classes, Hearing::Keys, Hearing::Speller];

/// Frames with anything in them, even strikes of keys that are silent.
fn frames(rng: &mut ChaCha8Rng, n: usize) -> Vec<KeyFrame> {
    let some = |rng: &mut ChaCha8Rng, most: usize| {
        let n = rng.random_range(0..=most);
        let bits = (0..n).map(|_| 1u128 << (LOWEST + rng.random_range(0..KEYS)));
        Chord::from_bits(bits.fold(0, |bits, bit| bits | bit))
    };
    let ends = Chord::from_bits(1 << LOWEST | 1 << (LOWEST + KEYS - 1));
    (0..n)
        .map(|idx| {
            let sounding = some(rng, 9).union(if idx % 3 == 0 { ends } else { Chord::REST });
            let struck = if rng.random() { sounding } else { some(rng, 4) };
            let n_known = rng.random_range(0..=struck.len());
            let velocity = |_| Velocity::new(rng.random_range(1..=127));
            let velocities = (0..n_known).filter_map(velocity).collect();
            KeyFrame { sounding, struck, velocities, pedal: idx % 2 == 0 }
        })
        .collect()
}

fn batch(rng: &mut ChaCha8Rng, n_rows: usize, n_steps: usize, has_clock: bool) -> KeyBatch {
    let n = n_rows * n_steps;
    let n_clocks = if has_clock { n } else { 0 };
    let clocks = (0..n_clocks).map(|_| rng.random_range(0..1000)).collect();
    // Longer ones count as the longest.
    let n_lengths = if has_clock { 0 } else { n + n_rows };
    let lengths: Vec<u32> =
        (0..n_lengths).map(|_| rng.random_range(0..=LENGTHS as u32 + 1)).collect();
    KeyBatch {
        n_rows,
        n_steps,
        clocks,
        frames: frames(rng, n + n_rows),
        lengths,
        weights: (0..n).map(|idx| if idx % 7 == 5 { 0.0 } else { 1.0 }).collect(),
        continues: vec![false; n_rows],
    }
}

/// X of every frame, as `features` writes it.
fn rows(alphabet: Alphabet, hearing: Hearing, batch: &KeyBatch) -> Vec<f32> {
    let mut all = Vec::new();
    for idx in 0..batch.n_rows * batch.n_steps {
        let (before, frame, clock) = batch.frame(idx);
        let mut heard = vec![0.0; hearing.places() * width_of(alphabet, hearing)];
        if hearing == Hearing::Classes {
            write_classes(alphabet, before, clock, &mut heard);
        } else {
            write_keys(alphabet, before, clock, &mut heard);
        }
        if hearing != Hearing::Speller {
            all.extend(heard);
            continue;
        }
        let mut lower = vec![0.0; KEYS * lower_width(alphabet)];
        write_lower(alphabet, frame, &mut lower);
        let lower = lower.chunks_exact(lower_width(alphabet));
        for (heard, lower) in heard.chunks_exact(key_width(alphabet)).zip(lower) {
            all.extend_from_slice(heard);
            all.extend_from_slice(lower);
            all.push(1.0);
        }
    }
    all
}

fn width_of(alphabet: Alphabet, hearing: Hearing) -> usize {
    if hearing == Hearing::Classes { class_width(alphabet) } else { key_width(alphabet) }
}

fn random(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..=1.0)).collect()
}

#[test]
fn slides_are_products_with_what_is_heard() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Within a strip of columns, and beyond one.
    for (level, columns) in Level::all().into_iter().flat_map(|level| [(level, 5), (level, 67)]) {
        for (alphabet, hearing) in ALPHABETS.into_iter().flat_map(|it| HEARINGS.map(|of| (it, of)))
        {
            let batch = batch(&mut rng, 2, 3, columns == 5);
            let (n_inputs, x) = (hearing.n_inputs(alphabet), rows(alphabet, hearing, &batch));
            let weights = random(&mut rng, n_inputs * columns);
            let slide = Slide::of_numbers(level, alphabet, hearing, &[&weights], columns);
            let heard = SlidBatch { slide: &slide, batch: &batch };
            assert_eq!(heard.n_rows() * n_inputs, x.len());

            let mut z = vec![f32::NAN; heard.n_rows() * columns];
            heard.write(&mut z);
            assert_eq!(slide.products(&batch, 2..6), z[2 * slide.values_a_frame()..]);
            for (x, z) in x.chunks_exact(n_inputs).zip(z.chunks_exact(columns)) {
                for (column, z) in z.iter().enumerate() {
                    let of_column = weights.iter().skip(column).step_by(columns);
                    let expected: f64 =
                        x.iter().zip(of_column).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                    assert!((f64::from(*z) - expected).abs() < 1e-5, "{z} for {expected}");
                }
            }

            let dz = random(&mut rng, z.len());
            let mut gradient = vec![f32::NAN; weights.len()];
            heard.write_gradient(&dz, &mut gradient);
            let mut expected = vec![0.0; weights.len()];
            for (x, dz) in x.chunks_exact(n_inputs).zip(dz.chunks_exact(columns)) {
                for (x, expected) in x.iter().zip(expected.chunks_exact_mut(columns)) {
                    let terms = expected.iter_mut().zip(dz);
                    terms.for_each(|(sum, dz)| *sum += f64::from(*x) * f64::from(*dz));
                }
            }
            for (gradient, expected) in gradient.iter().zip(&expected) {
                let distance = (f64::from(*gradient) - expected).abs();
                assert!(distance < 1e-4, "{hearing:?}: {gradient} for {expected}");
            }
        }
    }
}

fn config(alphabet: Alphabet, layers: usize, key_hidden: usize) -> KeyConfig {
    let has_clock = alphabet == Alphabet::OffOn;
    KeyConfig { layers, hidden: 6, key_hidden, spell_hidden: 7, alphabet, has_clock }
}

fn configs() -> impl Iterator<Item = KeyConfig> {
    let shapes = [(1, 5), (2, 3), (2, 0)];
    ALPHABETS.into_iter().flat_map(move |it| shapes.map(|(layers, keys)| config(it, layers, keys)))
}

/// Totals and gradients of a batch, with dropout.
fn learned(config: KeyConfig, batch: &KeyBatch, choice: KernelChoice) -> Vec<Vec<f32>> {
    let device = Default::default();
    let network = KeyNetwork::<Flex>::new(config, 3, &device);
    let mut dropout = random::stream(1, Purpose::Dropout, 0);
    let masks = config.mask_shapes(batch.n_rows).into_iter().map(|shape| {
        let mask = random::dropout_mask(&mut dropout, shape[0] * shape[1], 0.3);
        Tensor::from_data(TensorData::new(mask, shape), &device)
    });
    let (masks, n, cancel): (Vec<_>, _, _) = (masks.collect(), 50, CancelToken::new());
    let (state, kernels) = (network.zero_state(batch.n_rows), &mut Kernels::chosen(choice));
    let learned = gradients(&network, batch, state, &masks, n, kernels, &cancel).unwrap();
    let tensors = std::iter::once(learned.totals).chain(learned.gradients);
    tensors.map(|tensor| numbers(tensor.into_data())).collect()
}

#[test]
fn a_network_learns_with_slides_what_it_learns_without() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for config in configs() {
        let batch = batch(&mut rng, 3, 7, config.has_clock);
        let [ours, burns] =
            [KernelChoice::Fused, KernelChoice::Burn].map(|choice| learned(config, &batch, choice));
        assert_eq!(ours.len(), burns.len());
        for (idx, (ours, burns)) in ours.iter().zip(&burns).enumerate() {
            assert_eq!(ours.len(), burns.len());
            for (ours, burns) in ours.iter().zip(burns) {
                let distance = (ours - burns).abs();
                assert!(distance <= 2e-6 + 1e-4 * burns.abs(), "{idx}: {ours} for {burns}");
            }
        }
    }
}

#[test]
fn a_network_is_measured_with_slides_as_without() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for config in configs() {
        let network = KeyNetwork::<Flex>::new(config, 3, &Default::default());
        let mut piece = |n: usize| {
            let (clocks, lengths) = match config.alphabet {
                Alphabet::OffOn => ((0..n as u32).collect(), Vec::new()),
                Alphabet::Full => (Vec::new(), (0..n as u32).map(|idx| 1 + idx % 32).collect()),
            };
            KeyPiece { frames: frames(&mut rng, n), lengths, clocks }
        };
        let pieces = [piece(20), piece(33)];
        let measured = |choice| {
            let mut kernels = Kernels::chosen(choice);
            measure(&network, &pieces, &mut kernels, &CancelToken::new()).unwrap()
        };
        let (ours, burns) = (measured(KernelChoice::Fused), measured(KernelChoice::Burn));
        assert_eq!((ours.n_frames, ours.n_right), (burns.n_frames, burns.n_right));
        let all = |it: Measured| [it.nll, it.nll_velocity, it.nll_pedal, it.nll_length];
        for (ours, burns) in all(ours).into_iter().zip(all(burns)) {
            assert!((ours - burns).abs() <= 1e-5 * burns, "{ours} for {burns}");
        }
    }
}

/// All that is asked of a frame with every third key struck, after some others.
fn answers(speller: &mut Speller, past: &[KeyFrame]) -> Vec<f32> {
    for (idx, frame) in past.iter().enumerate() {
        speller.read(0, &KeyRun { frame: frame.clone(), length: 1 + idx as u32 });
    }
    let mut all = Vec::new();
    let spelled = speller.spell(0, &mut |decision| {
        all.push(decision.log_odds);
        decision.key % 3 == 0
    });
    let (velocities, _) = speller.velocities(0, &spelled, &mut |scores| {
        all.extend_from_slice(scores);
        3
    });
    all.extend(speller.pedal_log_odds(0, &spelled));
    all.extend(speller.lengths(0, &spelled, &velocities, true).into_iter().flatten());
    all
}

#[test]
fn composing_asks_with_slides_what_it_asks_without() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for config in configs() {
        let network = KeyNetwork::<Flex>::new(config, 3, &Default::default());
        let past = frames(&mut rng, 5);
        let [ours, burns] = [KernelChoice::Fused, KernelChoice::Burn].map(|choice| {
            answers(&mut Speller::with_kernels(&network, Kernels::chosen(choice)), &past)
        });
        assert!(ours.len() == burns.len() && ours.len() >= KEYS);
        for (ours, burns) in ours.iter().zip(&burns) {
            assert!((ours - burns).abs() < 1e-4, "{ours} for {burns}");
        }
    }
}

#[test]
fn weights_that_are_no_numbers_cost_no_number() {
    let config = config(Alphabet::OffOn, 1, 5);
    let mut network = KeyNetwork::<Flex>::new(config, 3, &Default::default());
    let tower = &mut network.speller.towers[0];
    *tower = tower.clone().mul_scalar(f32::NAN);
    let batch = batch(&mut ChaCha8Rng::seed_from_u64(6), 1, 3, true);
    let (state, kernels) = (network.zero_state(1), &mut Kernels::fused_for_tests());
    let cancel = CancelToken::new();
    let learned = gradients(&network, &batch, state, &[], 3, kernels, &cancel).unwrap();
    assert!(numbers(learned.totals.into_data())[0].is_nan());
}

#[test]
fn threads_change_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let config = config(Alphabet::Full, 1, 5);
    // More than two parts of the gradient's sum.
    let batch = batch(&mut rng, 3, 13, false);
    let with = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| learned(config, &batch, KernelChoice::Fused))
    };
    let one = with(1);
    assert!(one.iter().flatten().any(|&value| value != 0.0));
    assert_eq!(one, with(2));
    assert_eq!(one, with(3));
}
