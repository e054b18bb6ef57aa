//! What differs between processors: which vector instructions there are, and the inner loop of a
//! matrix product written with them.
//!
//! This is the only file of the folder with `unsafe` in it. Two safe doors lead in:
//! [`Level::run`] compiles any loop once for each instruction set and runs the right one (plain
//! code inside, which the compiler vectorizes), and [`Level::multiply_block`] multiplies packed
//! panels with as many accumulators in registers as there are.
//!
//! A sum over the depth of a product is made one term after the other by fused multiply-adds, so
//! its value depends neither on the tile an element falls into nor on the width of the vectors.

use std::sync::OnceLock;

/// Instruction sets that have their own code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Whatever every processor of the target has.
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2(Proof),
    #[cfg(target_arch = "x86_64")]
    Avx512(Proof),
}

/// Held by a [`Level`] whose instructions were found on this processor; made only here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proof(());

/// A loop to be compiled for each instruction set. `run` has to be `#[inline(always)]`, and so
/// has everything it calls, or it is compiled for the baseline.
pub trait Kernel {
    type Output;
    fn run<M: MulAdd>(self) -> Self::Output;
}

/// `a · b + c`: fused where the processor has the instruction; elsewhere `f32::mul_add` would be
/// a call into the C library for every number.
pub trait MulAdd {
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

pub struct FusedMulAdd;
pub struct PlainMulAdd;

/// What the baseline of the target has.
#[cfg(target_arch = "aarch64")]
pub type BaselineMulAdd = FusedMulAdd;
#[cfg(not(target_arch = "aarch64"))]
pub type BaselineMulAdd = PlainMulAdd;

/// What [`Level::multiply_block`] does with what its result was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// `C = A B`
    Overwrite,
    /// `C = C + A B`
    Add,
}

/// How many rows and columns one tile of the product has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TileShape {
    pub rows: usize,
    pub columns: usize,
}

/// What a number of the right factor is stored as. Every one becomes an `f32`, exactly, before it
/// is multiplied, so that all processors find the same products.
pub trait Weight: Copy + Default + Send + Sync {
    /// Whether a column's sum is then multiplied by the column's scale.
    const IS_SCALED: bool;
    /// # Safety
    /// The processor has the instructions of `V`, and [`Vector::LANES`] of these can be read at
    /// `from`.
    unsafe fn load<V: Vector>(from: *const Self) -> V;
}

/// The bits of a number of sixteen bits (IEEE 754 binary16).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Half(pub u16);

impl Weight for f32 {
    const IS_SCALED: bool = false;

    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: promised by the caller.
        unsafe { V::load(from) }
    }
}

impl Weight for Half {
    const IS_SCALED: bool = false;

    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: promised by the caller.
        unsafe { V::load_halves(from.cast()) }
    }
}

impl Weight for i8 {
    const IS_SCALED: bool = true;

    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: promised by the caller.
        unsafe { V::load_bytes(from) }
    }
}

/// A product of packed panels; see [`super::product`] for the layout.
pub struct Block<'a, W> {
    /// `rows · depth` numbers: panels of [`panel_heights`] rows.
    pub left: &'a [f32],
    /// Panels of [`TileShape::columns`] columns, `depth` deep.
    pub right: &'a [W],
    /// One a column of `right`; empty where [`Weight::IS_SCALED`] is false.
    pub scales: &'a [f32],
    pub depth: usize,
    pub rows: usize,
    pub columns: usize,
    /// From one row of the result to the next.
    pub stride: usize,
    pub store: Store,
}

impl MulAdd for FusedMulAdd {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl MulAdd for PlainMulAdd {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// The heights of the panels into which `rows` rows are packed: as equal as they can be, so that
/// no tile is left with a row or two, which would run at a fraction of the speed.
pub fn panel_heights(rows: usize, largest: usize) -> impl Iterator<Item = usize> {
    let n = rows.div_ceil(largest);
    let (height, taller) = (rows / n.max(1), rows % n.max(1));
    (0..n).map(move |panel| height + usize::from(panel < taller))
}

impl Level {
    /// The best one of this processor.
    pub fn detect() -> Self {
        static FOUND: OnceLock<Level> = OnceLock::new();
        *FOUND.get_or_init(|| *Self::all().last().unwrap_or(&Self::Baseline))
    }

    /// All that this processor has, best last.
    pub fn all() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "pushed to on x86"))]
        let mut levels = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            if has_avx2 {
                levels.push(Self::Avx2(Proof(())));
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                    levels.push(Self::Avx512(Proof(())));
                }
            }
        }
        levels
    }

    /// Runs a loop compiled for this level.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Baseline => kernel.run::<BaselineMulAdd>(),
            // SAFETY: a `Proof` exists only where the instructions were detected.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => unsafe { x86::run_avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => unsafe { x86::run_avx512(kernel) },
        }
    }

    pub const fn tile_shape(self) -> TileShape {
        match self {
            Self::Baseline => BASELINE_TILE,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => TileShape { rows: 6, columns: 16 },
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => TileShape { rows: 14, columns: 32 },
        }
    }

    /// Multiplies packed panels into `result`.
    ///
    /// # Panics
    /// If a slice is shorter than `block` says.
    pub fn multiply_block<W: Weight>(self, block: &Block<'_, W>, result: &mut [f32]) {
        if block.rows == 0 || block.columns == 0 {
            return;
        }
        let width = self.tile_shape().columns;
        assert!(block.left.len() >= block.rows * block.depth);
        let padded = block.columns.next_multiple_of(width);
        assert!(block.right.len() >= padded * block.depth);
        assert!(!W::IS_SCALED || block.scales.len() >= padded);
        assert!(block.columns <= block.stride || block.rows == 1);
        assert!(result.len() >= (block.rows - 1) * block.stride + block.columns);
        // SAFETY: the slices are as long as `multiply_panels` demands, by the lines above, and a
        // `Proof` exists only where the instructions were detected.
        unsafe {
            match self {
                Self::Baseline => baseline::multiply(block, result.as_mut_ptr()),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2(_) => x86::multiply_avx2(block, result.as_mut_ptr()),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512(_) => x86::multiply_avx512(block, result.as_mut_ptr()),
            }
        }
    }
}

/// Rows to columns. The compiler doesn't find the shuffles for it by itself.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn transpose([a, b, c, d]: [&[f32; 4]; 4]) -> [[f32; 4]; 4] {
    use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};
    let mut columns = [[0.0; 4]; 4];
    // SAFETY: SSE is part of every 64-bit x86 processor, and every array has four numbers.
    unsafe {
        let [mut a, mut b, mut c, mut d] = [a, b, c, d].map(|row| _mm_loadu_ps(row.as_ptr()));
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        for (to, column) in columns.iter_mut().zip([a, b, c, d]) {
            _mm_storeu_ps(to.as_mut_ptr(), column);
        }
    }
    columns
}

/// Rows to columns.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn transpose(rows: [&[f32; 4]; 4]) -> [[f32; 4]; 4] {
    std::array::from_fn(|column| rows.map(|row| row[column]))
}

/// One vector register.
pub trait Vector: Copy {
    const LANES: usize;
    /// # Safety
    /// The processor has the instructions of this type.
    unsafe fn splat(value: f32) -> Self;
    /// # Safety
    /// As [`Vector::splat`], and [`Vector::LANES`] numbers can be read at `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// As [`Vector::splat`], and [`Vector::LANES`] numbers of sixteen bits can be read at `from`.
    unsafe fn load_halves(from: *const u16) -> Self;
    /// # Safety
    /// As [`Vector::splat`], and [`Vector::LANES`] bytes can be read at `from`.
    unsafe fn load_bytes(from: *const i8) -> Self;
    /// # Safety
    /// As [`Vector::splat`], and [`Vector::LANES`] numbers can be written at `to`.
    unsafe fn store(self, to: *mut f32);
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn add(self, other: Self) -> Self;
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn mul(self, other: Self) -> Self;
    /// Asks for a line of memory that will soon be needed; any address will do.
    #[inline(always)]
    fn prefetch(_from: *const f32) {}
}

/// The widest tile of any level, in numbers.
const MAX_COLUMNS: usize = 32;

/// With up to so many rows a tile waits for its right factor, not for its sums.
const WAITING_ROWS: usize = 2;
/// It then asks for the row of the right factor that is so many further on.
const AHEAD: usize = 8;
/// Bytes that come from memory together.
const LINE: usize = 64;

/// One tile: `ROWS` × `VECTORS` registers of sums over the whole depth.
///
/// # Safety
/// `left` has `ROWS · depth` numbers, `right` `VECTORS · LANES · depth`, and `scales`, if weights
/// are scaled, `VECTORS · LANES`; in `result` there are `ROWS` rows of `columns` numbers, `stride` apart, and `columns` is not 0. The processor has
/// the instructions of `V`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "two factors, their scales, and where it all goes")]
unsafe fn multiply_tile<V: Vector, W: Weight, const ROWS: usize, const VECTORS: usize>(
    depth: usize,
    mut left: *const f32,
    mut right: *const W,
    scales: *const f32,
    result: *mut f32,
    stride: usize,
    columns: usize,
    store: Store,
) {
    let width = VECTORS * V::LANES;
    // SAFETY: every address is within what the caller promised: `left` and `right` advance
    // `depth` times by a row of the panel; a tile narrower than its registers goes through
    // `edge`, which has `width` ≤ `MAX_COLUMNS` numbers. What is asked for ahead may be any
    // address: nothing is read.
    unsafe {
        for row in 0..ROWS {
            V::prefetch(result.wrapping_add(row * stride));
            V::prefetch(result.wrapping_add(row * stride + 16));
        }
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for _ in 0..depth {
            if ROWS <= WAITING_ROWS {
                let ahead = right.wrapping_add(AHEAD * width);
                for line in (0..width * size_of::<W>()).step_by(LINE) {
                    V::prefetch(ahead.wrapping_byte_add(line).cast());
                }
            }
            let mut columns = [V::splat(0.0); VECTORS];
            for (idx, column) in columns.iter_mut().enumerate() {
                *column = W::load::<V>(right.add(idx * V::LANES));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = V::splat(*left.add(row));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = factor.mul_add(column, *sum);
                }
            }
            left = left.add(ROWS);
            right = right.add(width);
        }
        if W::IS_SCALED {
            for idx in 0..VECTORS {
                let scale = V::load(scales.add(idx * V::LANES));
                sums.iter_mut().for_each(|sums| sums[idx] = sums[idx].mul(scale));
            }
        }
        if columns >= width {
            for (row, sums) in sums.into_iter().enumerate() {
                for (idx, sum) in sums.into_iter().enumerate() {
                    let to = result.add(row * stride + idx * V::LANES);
                    let sum = if store == Store::Add { sum.add(V::load(to)) } else { sum };
                    sum.store(to);
                }
            }
            return;
        }
        let mut edge = [0.0f32; MAX_COLUMNS];
        for (row, sums) in sums.into_iter().enumerate() {
            for (idx, sum) in sums.into_iter().enumerate() {
                sum.store(edge.as_mut_ptr().add(idx * V::LANES));
            }
            for (column, &sum) in edge[..columns].iter().enumerate() {
                let to = result.add(row * stride + column);
                *to = if store == Store::Add { sum + *to } else { sum };
            }
        }
    }
}

/// All tiles of a block. `$multiply` picks the code for a height.
///
/// # Safety
/// The slices of `block` and `result` are as long as [`Level::multiply_block`] checks.
macro_rules! multiply_panels {
    ($block:expr, $result:expr, $vector:ty, $rows:literal, $vectors:literal, [$($height:literal)*]) => {{
        let (block, result): (&Block<'_, W>, *mut f32) = ($block, $result);
        let width = $vectors * <$vector as Vector>::LANES;
        for column in (0..block.columns).step_by(width) {
            // SAFETY: panel `column / width` begins here, and there are as many whole panels as
            // cover `block.columns`.
            let right = unsafe { block.right.as_ptr().add(column * block.depth) };
            // Read only where there are as many.
            let scales = block.scales.as_ptr().wrapping_add(column);
            let columns = (block.columns - column).min(width);
            let mut row = 0;
            for height in panel_heights(block.rows, $rows) {
                // SAFETY: the heights add up to `block.rows`.
                unsafe {
                    let left = block.left.as_ptr().add(row * block.depth);
                    let result = result.add(row * block.stride + column);
                    let (depth, stride, store) = (block.depth, block.stride, block.store);
                    match height {
                        $($height => multiply_tile::<$vector, W, $height, $vectors>(
                            depth, left, right, scales, result, stride, columns, store,
                        ),)*
                        _ => unreachable!("no panel is higher than the tile"),
                    }
                }
                row += height;
            }
        }
    }};
}

#[cfg(target_arch = "aarch64")]
const BASELINE_TILE: TileShape = TileShape { rows: 8, columns: 12 };
#[cfg(not(target_arch = "aarch64"))]
const BASELINE_TILE: TileShape = TileShape { rows: 4, columns: 8 };

#[cfg(not(target_arch = "aarch64"))]
mod baseline {
    use half::f16;

    use super::{BaselineMulAdd, Block, MulAdd, Vector, Weight, multiply_tile, panel_heights};

    /// Four numbers, which the compiler puts into one register where there is one.
    #[derive(Clone, Copy)]
    struct Four([f32; 4]);

    impl Vector for Four {
        const LANES: usize = 4;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self([value; 4])
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: promised by the caller; an array of `f32` needs no more alignment than one.
            unsafe { Self(*from.cast::<[f32; 4]>()) }
        }

        #[inline(always)]
        unsafe fn load_halves(from: *const u16) -> Self {
            // SAFETY: as above.
            let halves = unsafe { *from.cast::<[u16; 4]>() };
            Self(halves.map(|bits| f16::from_bits(bits).to_f32_const()))
        }

        #[inline(always)]
        unsafe fn load_bytes(from: *const i8) -> Self {
            // SAFETY: as above.
            let bytes = unsafe { *from.cast::<[i8; 4]>() };
            Self(bytes.map(f32::from))
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: as above.
            unsafe { *to.cast::<[f32; 4]>() = self.0 }
        }

        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
            let value =
                |idx: usize| BaselineMulAdd::mul_add(self.0[idx], factor.0[idx], sum.0[idx]);
            Self([value(0), value(1), value(2), value(3)])
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(std::array::from_fn(|idx| self.0[idx] + other.0[idx]))
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Self(std::array::from_fn(|idx| self.0[idx] * other.0[idx]))
        }
    }

    /// # Safety
    /// As `multiply_panels`.
    pub(super) unsafe fn multiply<W: Weight>(block: &Block<'_, W>, result: *mut f32) {
        multiply_panels!(block, result, Four, 4, 2, [1 2 3 4]);
    }
}

/// NEON is part of every 64-bit ARM processor, so there it is the baseline.
#[cfg(target_arch = "aarch64")]
mod baseline {
    use std::arch::aarch64::{
        float32x4_t, vaddq_f32, vandq_u32, vcgeq_u32, vcreate_s8, vcvtq_f32_s32, vdupq_n_f32,
        vdupq_n_u32, vfmaq_f32, vget_low_s16, vld1_u16, vld1q_f32, vmovl_s8, vmovl_s16, vmovl_u16,
        vmulq_f32, vorrq_u32, vreinterpretq_f32_u32, vreinterpretq_u32_f32, vshlq_n_u32, vst1q_f32,
    };

    use super::{Block, Vector, Weight, multiply_tile, panel_heights};

    impl Vector for float32x4_t {
        const LANES: usize = 4;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: NEON is there on every processor of this target.
            unsafe { vdupq_n_f32(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: as above, and the address is promised by the caller.
            unsafe { vld1q_f32(from) }
        }

        /// Exponent and mantissa at their new places, then a multiplication that is exact sets
        /// the exponent right, for the smallest numbers too. What isn't finite stays that.
        #[inline(always)]
        unsafe fn load_halves(from: *const u16) -> Self {
            // SAFETY: as above.
            unsafe {
                let bits = vmovl_u16(vld1_u16(from));
                let sign = vshlq_n_u32::<16>(vandq_u32(bits, vdupq_n_u32(0x8000)));
                let size = vshlq_n_u32::<13>(vandq_u32(bits, vdupq_n_u32(0x7fff)));
                let is_finite_not = vcgeq_u32(size, vdupq_n_u32(0x1f << 23));
                let two_to_112 = vreinterpretq_f32_u32(vdupq_n_u32((127 + 112) << 23));
                let size = vmulq_f32(vreinterpretq_f32_u32(size), two_to_112);
                let special = vandq_u32(is_finite_not, vdupq_n_u32(0xff << 23));
                let size = vorrq_u32(vreinterpretq_u32_f32(size), special);
                vreinterpretq_f32_u32(vorrq_u32(size, sign))
            }
        }

        #[inline(always)]
        unsafe fn load_bytes(from: *const i8) -> Self {
            // SAFETY: as above.
            unsafe {
                let four = u64::from(from.cast::<u32>().read_unaligned());
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(four)))))
            }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: as above.
            unsafe { vst1q_f32(to, self) }
        }

        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
            // SAFETY: NEON is there on every processor of this target.
            unsafe { vfmaq_f32(sum, self, factor) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: as above.
            unsafe { vaddq_f32(self, other) }
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: as above.
            unsafe { vmulq_f32(self, other) }
        }
    }

    /// # Safety
    /// As `multiply_panels`.
    pub(super) unsafe fn multiply<W: Weight>(block: &Block<'_, W>, result: *mut f32) {
        multiply_panels!(block, result, float32x4_t, 8, 3, [1 2 3 4 5 6 7 8]);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _MM_HINT_T0, _mm_loadl_epi64, _mm_loadu_si128, _mm_prefetch, _mm256_add_ps,
        _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_loadu_si256, _mm256_mul_ps, _mm256_set1_ps, _mm256_storeu_ps,
        _mm512_add_ps, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{Block, FusedMulAdd, Kernel, Vector, Weight, multiply_tile, panel_heights};

    macro_rules! impl_vector {
        (
            $vector:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $fma:ident,
            $add:ident, $mul:ident, $from_halves:ident($load_halves:ident),
            $from_ints:ident($from_bytes:ident($load_bytes:ident))
        ) => {
            impl Vector for $vector {
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn splat(value: f32) -> Self {
                    // SAFETY: the caller has the instructions.
                    unsafe { $splat(value) }
                }

                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: the caller has the instructions and vouches for the address.
                    unsafe { $load(from) }
                }

                #[inline(always)]
                unsafe fn load_halves(from: *const u16) -> Self {
                    // SAFETY: as above.
                    unsafe { $from_halves($load_halves(from.cast())) }
                }

                #[inline(always)]
                unsafe fn load_bytes(from: *const i8) -> Self {
                    // SAFETY: as above.
                    unsafe { $from_ints($from_bytes($load_bytes(from.cast()))) }
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: as above.
                    unsafe { $store(to, self) }
                }

                #[inline(always)]
                unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
                    // SAFETY: the caller has the instructions.
                    unsafe { $fma(self, factor, sum) }
                }

                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $add(self, other) }
                }

                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $mul(self, other) }
                }

                #[inline(always)]
                fn prefetch(from: *const f32) {
                    // SAFETY: a prefetch never faults and is part of every 64-bit x86 processor.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
                }
            }
        };
    }

    impl_vector!(
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_mul_ps,
        _mm256_cvtph_ps(_mm_loadu_si128),
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64))
    );
    impl_vector!(
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_mul_ps,
        _mm512_cvtph_ps(_mm256_loadu_si256),
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128))
    );

    /// # Safety
    /// As `multiply_panels`, on a processor with AVX2, FMA and F16C.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) unsafe fn multiply_avx2<W: Weight>(block: &Block<'_, W>, result: *mut f32) {
        multiply_panels!(block, result, __m256, 6, 2, [1 2 3 4 5 6]);
    }

    /// # Safety
    /// As `multiply_panels`, on a processor with AVX-512F and DQ.
    #[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
    pub(super) unsafe fn multiply_avx512<W: Weight>(block: &Block<'_, W>, result: *mut f32) {
        multiply_panels!(
            block, result, __m512, 14, 2, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]
        );
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<FusedMulAdd>()
    }

    #[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
    pub(super) fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<FusedMulAdd>()
    }
}
