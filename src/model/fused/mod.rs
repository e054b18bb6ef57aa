//! Kernels for the CPU: matrix products of packed panels, recurrent layers over whole sequences, the
//! output layer with its loss, the optimizer, and single time steps for composing.
//!
//! Slices in and out; nothing here knows burn, which is what `kernels` of the model is for. The
//! same numbers come out bit for bit whatever the number of threads. Only [`simd`] has `unsafe` in
//! it, as `tests/architecture.rs` holds.

pub mod adam;
pub mod adaptive;
pub mod cells;
pub mod compact;
pub mod decoder;
pub mod functions;
pub mod product;
pub mod reader;
pub mod recurrent;
pub mod simd;
pub mod sparse;
pub mod threads;
