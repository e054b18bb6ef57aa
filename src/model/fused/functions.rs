//! Vectorized exponential, logistic function and hyperbolic tangent.
//!
//! Branch-free, so that a loop over them becomes vector instructions. Largest errors, held by the
//! tests below over every range that matters (relative to the true value):
//!
//! ```text
//! exp      2 · 10⁻⁷ for -87.3 ≤ x ≤ 88 and the value at the nearer end outside
//! sigmoid  2.5 · 10⁻⁷ where it is at least e⁻⁸⁷
//! tanh     3.5 · 10⁻⁷, also near 0; odd to the last bit and never beyond ±1
//! ```
//!
//! What is not a number stays that.

use super::simd::MulAdd;

/// `2⁻¹²⁶ ≤ eˣ < 2¹²⁷` between these.
const EXP_FROM: f32 = -87.3;
const EXP_TO: f32 = 88.0;

/// Above it tanh is 1 in single precision.
const TANH_TO: f32 = 9.02;

/// `eˣ = 2ⁿ · eʳ` with `|r| ≤ ln 2 / 2`, and `eʳ = 1 + r + r² R(r)`, where `R` makes the largest
/// relative error 3.2 · 10⁻⁹ (fitted by reweighted least squares).
#[inline(always)]
pub fn exp<M: MulAdd>(x: f32) -> f32 {
    /// `1.5 · 2²³`: adding it rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; the first has so few bits that its product with `n` is exact.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(EXP_FROM, EXP_TO);
    let shifted = M::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = M::mul_add(n, -LN_2_LOW, M::mul_add(n, -LN_2_HIGH, x));
    let mut tail = 1.381_431_9e-3;
    for coefficient in [8.368_851e-3, 4.166_84e-2, 1.666_652e-1, 4.999_999_3e-1, 1.0, 1.0] {
        tail = M::mul_add(tail, r, coefficient);
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    tail * power
}

/// `1 / (1 + e⁻ˣ)`
#[inline(always)]
pub fn sigmoid<M: MulAdd>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<M>(-x))
}

/// `x P(x²) / Q(x²)`, both of the fourth degree: the largest relative error of the fit over
/// `|x| ≤ 9.02` is 2.1 · 10⁻⁸ (rational least squares, reweighted towards the largest error).
#[inline(always)]
pub fn tanh<M: MulAdd>(x: f32) -> f32 {
    let x = x.clamp(-TANH_TO, TANH_TO);
    let square = x * x;
    let mut above = 1.331_932_3e-8;
    for coefficient in [2.058_370_3e-5, 3.494_05e-3, 1.337_973_2e-1, 1.0] {
        above = M::mul_add(above, square, coefficient);
    }
    let mut below = 7.762_133_7e-7;
    for coefficient in [3.283_116_6e-4, 2.587_113_4e-2, 4.671_304_7e-1, 1.0] {
        below = M::mul_add(below, square, coefficient);
    }
    (x * above / below).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Kernel, Level};
    use super::*;

    /// Applies one of the functions to numbers, as the loops of the layers do.
    struct Apply<'a>(&'a mut [f32], Which);

    #[derive(Clone, Copy, Debug)]
    enum Which {
        Exp,
        Sigmoid,
        Tanh,
    }

    impl Kernel for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn run<M: MulAdd>(self) {
            match self.1 {
                Which::Exp => self.0.iter_mut().for_each(|x| *x = exp::<M>(*x)),
                Which::Sigmoid => self.0.iter_mut().for_each(|x| *x = sigmoid::<M>(*x)),
                Which::Tanh => self.0.iter_mut().for_each(|x| *x = tanh::<M>(*x)),
            }
        }
    }

    fn applied(level: Level, which: Which, numbers: &[f32]) -> Vec<f32> {
        let mut values = numbers.to_vec();
        level.run(Apply(&mut values, which));
        values
    }

    /// Evenly over `±to` and at every scale down to 10⁻³⁰.
    fn numbers(to: f32) -> Vec<f32> {
        let n = 100_000;
        let even = (-n..=n).map(|idx| to * idx as f32 / n as f32);
        let scales = (0..20_000).map(|idx| to * (-(idx as f32) / 250.0).exp());
        even.chain(scales.flat_map(|x| [x, -x])).collect()
    }

    fn largest_error(level: Level, which: Which, to: f32, exact: impl Fn(f64) -> f64) -> f64 {
        let numbers = numbers(to);
        let values = applied(level, which, &numbers);
        let errors = numbers.iter().zip(values).filter(|(x, _)| **x != 0.0).map(|(&x, value)| {
            let exact = exact(f64::from(x));
            ((f64::from(value) - exact) / exact).abs()
        });
        errors.fold(0.0, f64::max)
    }

    #[test]
    fn errors_are_as_small_as_stated() {
        for level in Level::all() {
            let exp = largest_error(level, Which::Exp, 87.3, f64::exp);
            let sigmoid = largest_error(level, Which::Sigmoid, 87.0, |x| 1.0 / (1.0 + (-x).exp()));
            let tanh = largest_error(level, Which::Tanh, 20.0, f64::tanh);
            println!("{level:?}: exp {exp:.2e}, sigmoid {sigmoid:.2e}, tanh {tanh:.2e}");
            assert!(exp < 2e-7 && sigmoid < 2.5e-7 && tanh < 3.5e-7, "{exp} {sigmoid} {tanh}");
        }
    }

    #[test]
    fn ends_are_kept() {
        let numbers = [f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 200.0, -200.0];
        for level in Level::all() {
            let tanh = applied(level, Which::Tanh, &numbers);
            for (found, expected) in tanh.iter().zip([1.0, -1.0, 0.0, 0.0, 1.0, -1.0]) {
                assert!((found - expected).abs() < 3.5e-7, "{tanh:?}");
            }
            let sigmoid = applied(level, Which::Sigmoid, &numbers);
            assert!(sigmoid[0] == 1.0 && sigmoid[1] < 1e-37 && sigmoid[2] == 0.5);
            let exp = applied(level, Which::Exp, &numbers);
            assert!(exp[0].is_finite() && exp[1] < 2e-38 && exp[2] == 1.0);
            for which in [Which::Exp, Which::Sigmoid, Which::Tanh] {
                assert!(applied(level, which, &[f32::NAN])[0].is_nan(), "{which:?}");
            }
        }
    }

    #[test]
    fn tanh_is_odd_and_bounded() {
        let numbers = numbers(12.0);
        let negated: Vec<f32> = numbers.iter().map(|x| -x).collect();
        for level in Level::all() {
            let (plus, minus) =
                (applied(level, Which::Tanh, &numbers), applied(level, Which::Tanh, &negated));
            assert!(plus.iter().zip(minus).all(|(plus, minus)| *plus == -minus));
            assert!(plus.iter().all(|value| value.abs() <= 1.0));
        }
    }
}
