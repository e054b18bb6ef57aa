//! Kernels for cards, written in CubeCL: CUDA, and Vulkan in builds that have it.
//!
//! CubeCL compiles them at run time for the device it finds, so that building needs no toolkit.
//! [`steps`] are the kernels of a recurrent layer, [`sequence`] launches them for a whole sequence;
//! [`update`] is Adam. [`Card`] is what the rest of the program sees.
//!
//! The backends here are burn's without its fusion of operations. Under fusion a tensor is a
//! promise whose memory exists only once a stream of operations has been looked through; every
//! custom kernel would have to be registered there as an operation with inputs and outputs of its
//! own, and every launch would pass through that search. A recurrent network gains little from
//! it: what takes its time is within these kernels and in products.

mod sequence;
mod steps;
#[cfg(test)]
mod tests;
mod update;

use std::any::Any;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeRuntime, cubecl};

pub use sequence::{Gradients, Layer, Read, Reading, Remembered};
pub use update::Factors;

/// NVIDIA's cards.
pub type Cuda = CubeBackend<cubecl::cuda::CudaRuntime, f32, i32, u8>;
/// All cards with a Vulkan driver.
#[cfg(feature = "vulkan")]
pub type Vulkan = CubeBackend<cubecl::wgpu::WgpuRuntime, f32, i32, u8>;

/// What a card computes by kernels of its own.
pub trait Card<B: Backend>: Send {
    /// Reads a sequence; `None` if `is_cancelled` says so before a time step.
    fn read(
        &self,
        layer: &Layer<'_, B>,
        reading: Reading<B>,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Option<Read<B>>;

    /// Moves weights, Adam's first and second moments and, where there is one, the weights' mean,
    /// each in the order of the gradients.
    fn adam(
        &self,
        factors: &Factors,
        moved: [Vec<&mut Tensor<B, 2>>; 4],
        gradients: &[Tensor<B, 2>],
    );
}

/// [`Card`] on the runtime `R`.
struct Runtime<R>(std::marker::PhantomData<R>);

impl<B, R> Card<B> for Runtime<R>
where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    fn read(
        &self,
        layer: &Layer<'_, B>,
        reading: Reading<B>,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Option<Read<B>> {
        sequence::Memory::forward(layer, reading, is_cancelled)
    }

    fn adam(
        &self,
        factors: &Factors,
        moved: [Vec<&mut Tensor<B, 2>>; 4],
        gradients: &[Tensor<B, 2>],
    ) {
        update::adam(factors, moved, gradients);
    }
}

/// The kernels for `B`, where it is one of the backends of this file.
pub fn card<B: Backend>() -> Option<Box<dyn Card<B>>> {
    let cuda = on::<Cuda, cubecl::cuda::CudaRuntime>();
    #[cfg(feature = "vulkan")]
    let vulkan = Some(on::<Vulkan, cubecl::wgpu::WgpuRuntime>());
    #[cfg(not(feature = "vulkan"))]
    let vulkan = None::<Box<dyn Any>>;
    let of_b = |card: Box<dyn Any>| card.downcast::<Box<dyn Card<B>>>().ok().map(|card| *card);
    of_b(cuda).or_else(|| vulkan.and_then(of_b))
}

/// A `Box<dyn Card<B>>` whose type is to be found out.
fn on<B, R>() -> Box<dyn Any>
where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    let card: Box<dyn Card<B>> = Box::new(Runtime::<R>(std::marker::PhantomData));
    Box::new(card)
}
