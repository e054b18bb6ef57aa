//! Adam on a card: the norm of all gradients in one launch a tensor, the update in another.
//!
//! Formulas and the order of what happens are those of [`super::super::optimizer`]. Nothing waits
//! for the norm: it stays on the card.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_cubecl::CubeRuntime;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::sequence::{array, raw, tensor};

/// Hardware units of a cube.
const CUBE: usize = 256;
/// How often [`CUBE`] can be halved.
const HALVINGS: usize = CUBE.ilog2() as usize;
/// Cubes that add up the squares of one tensor, and so sums that it leaves.
const SUMS: usize = 64;
/// Most cubes that move one tensor's numbers.
const MOST_CUBES: usize = 1024;

/// What is the same for every number of a step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Factors {
    /// The largest norm of all gradients together; infinite for none.
    pub largest_norm: f32,
    /// λ of `g ← g + λ w`.
    pub penalty: f32,
    /// `1 - ηλ`
    pub keep: f32,
    /// `1 / √(1-β₂ᵗ)`
    pub spread: f32,
    /// `η / (1-β₁ᵗ)`
    pub rate: f32,
    /// `1 - stays`
    pub mean_moves: f32,
    /// `1 - β₁` and `1 - β₂`
    pub first_moves: f32,
    pub second_moves: f32,
    pub epsilon: f32,
}

/// The sums of a tensor's squares, one for each cube, from place `first` on.
#[cube(launch_unchecked)]
pub fn sum_squares(values: &Array<f32>, sums: &mut Array<f32>, first: u32, n: u32) {
    let mut shared = SharedMemory::<f32>::new(CUBE);
    let position = UNIT_POS as usize;
    let cube = CUBE_POS_X as usize;
    let n = n as usize;
    let mut sum = 0.0f32;
    let mut idx = cube * CUBE + position;
    while idx < n {
        let value = values[idx];
        sum += value * value;
        idx += SUMS * CUBE;
    }
    let total = cube_sum(&mut shared, position, sum);
    if position == 0 {
        sums[first as usize + cube] = total;
    }
}

/// By how much all gradients are scaled down so that their norm is at most `largest`.
#[cube(launch_unchecked)]
pub fn clip_factor(sums: &Array<f32>, factor: &mut Array<f32>, largest: f32, n: u32) {
    let mut shared = SharedMemory::<f32>::new(CUBE);
    let position = UNIT_POS as usize;
    let n = n as usize;
    let mut sum = 0.0f32;
    let mut idx = position;
    while idx < n {
        sum += sums[idx];
        idx += CUBE;
    }
    let norm = cube_sum(&mut shared, position, sum).sqrt();
    if position == 0 {
        let mut scale = 1.0f32;
        if norm > largest {
            scale = largest / norm;
        }
        factor[0] = scale;
    }
}

/// One step of a tensor, in place.
#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel can't be a struct")]
pub fn move_weights(
    weights: &mut Array<f32>,
    first: &mut Array<f32>,
    second: &mut Array<f32>,
    mean: &mut Array<f32>,
    gradient: &Array<f32>,
    factor: &Array<f32>,
    penalty: f32,
    keep: f32,
    spread: f32,
    rate: f32,
    mean_moves: f32,
    first_moves: f32,
    second_moves: f32,
    epsilon: f32,
    n: u32,
    #[comptime] has_mean: bool,
) {
    let scale = factor[0];
    let n = n as usize;
    let mut idx = ABSOLUTE_POS;
    while idx < n {
        let weight = weights[idx];
        let slope = gradient[idx] * scale + penalty * weight;
        let m = first[idx] + first_moves * (slope - first[idx]);
        let v = second[idx] + second_moves * (slope * slope - second[idx]);
        let moved = keep * weight - rate * m / (v.sqrt() * spread + epsilon);
        first[idx] = m;
        second[idx] = v;
        weights[idx] = moved;
        if has_mean {
            mean[idx] = mean[idx] + mean_moves * (moved - mean[idx]);
        }
        idx += CUBE_COUNT * CUBE;
    }
}

/// The sum of what every unit of a cube brings, in an order that never changes.
#[cube]
fn cube_sum(shared: &mut SharedMemory<f32>, position: usize, value: f32) -> f32 {
    shared[position] = value;
    sync_cube();
    #[unroll]
    for halving in 0..HALVINGS {
        let width = comptime!(CUBE >> (halving + 1));
        if position < width {
            shared[position] = shared[position] + shared[position + width];
        }
        sync_cube();
    }
    shared[0]
}

/// Moves weights, Adam's moments and, where there is one, the weights' mean, each in the order of
/// the gradients. A tensor that shares its memory with another one is copied before.
pub fn adam<B, R>(
    factors: &Factors,
    [weights, first, second, mean]: [Vec<&mut Tensor<B, 2>>; 4],
    gradients: &[Tensor<B, 2>],
) where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    let gradients: Vec<CubeTensor<R>> = gradients.iter().cloned().map(raw).collect();
    let (Some(any), Some(client)) = (weights.first(), gradients.first()) else { return };
    let (client, nothing) = (client.client.clone(), Tensor::empty([1, 1], &any.device()));
    let spare = client.empty(size_of::<f32>());
    let factor = client.empty(size_of::<f32>());
    let n_sums = gradients.len() * SUMS;
    let sums = client.empty(n_sums * size_of::<f32>());
    let dim = CubeDim::new_1d(CUBE as u32);
    // SAFETY: `factor` holds one number and `sums` as many as `n_sums`; tensor `idx` writes its own
    // SUMS of them. Every kernel stops at the length it is given.
    let factor = || unsafe { ArrayArg::from_raw_parts(factor.clone(), 1) };
    let sums = || unsafe { ArrayArg::from_raw_parts(sums.clone(), n_sums) };
    for (idx, gradient) in gradients.iter().enumerate() {
        let (place, n) = ((idx * SUMS) as u32, gradient.meta.num_elements() as u32);
        let cubes = CubeCount::Static(SUMS as u32, 1, 1);
        // SAFETY: above.
        unsafe {
            sum_squares::launch_unchecked::<R>(
                &client,
                cubes,
                dim,
                array(gradient),
                sums(),
                place,
                n,
            );
        }
    }
    let one = CubeCount::Static(1, 1, 1);
    // SAFETY: above.
    unsafe {
        clip_factor::launch_unchecked::<R>(
            &client,
            one,
            dim,
            sums(),
            factor(),
            factors.largest_norm,
            n_sums as u32,
        );
    }
    let mut mean = mean.into_iter();
    let moments = first.into_iter().zip(second);
    for ((weights, gradient), (first, second)) in weights.into_iter().zip(&gradients).zip(moments) {
        let n = gradient.meta.num_elements();
        let [own_weights, own_first, own_second] =
            [&mut *weights, &mut *first, &mut *second].map(|place| take(place, &nothing));
        let mut mean = mean.next();
        let own_mean = mean.as_deref_mut().map(|place| take(place, &nothing));
        // Without a mean the kernel never touches it.
        let of_mean = match &own_mean {
            Some(mean) => array(mean),
            // SAFETY: it holds one number.
            None => unsafe { ArrayArg::from_raw_parts(spare.clone(), 1) },
        };
        let cubes = CubeCount::Static(n.div_ceil(CUBE).min(MOST_CUBES) as u32, 1, 1);
        // SAFETY: all these tensors have as many numbers as the gradient, where the kernel stops.
        unsafe {
            move_weights::launch_unchecked::<R>(
                &client,
                cubes,
                dim,
                array(&own_weights),
                array(&own_first),
                array(&own_second),
                of_mean,
                array(gradient),
                factor(),
                factors.penalty,
                factors.keep,
                factors.spread,
                factors.rate,
                factors.mean_moves,
                factors.first_moves,
                factors.second_moves,
                factors.epsilon,
                n as u32,
                own_mean.is_some(),
            );
        }
        let places = [(weights, own_weights), (first, own_first), (second, own_second)];
        for (place, own) in places.into_iter().chain(mean.zip(own_mean)) {
            *place = tensor(own);
        }
    }
}

/// A tensor's memory to be written: its own, or a copy if others share it.
fn take<B, R>(place: &mut Tensor<B, 2>, nothing: &Tensor<B, 2>) -> CubeTensor<R>
where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    let own = raw(std::mem::replace(place, nothing.clone()));
    if own.can_mut() { own } else { raw(tensor::<B, R>(own.copy())) }
}
