//! Bringing notes to the grid.

use serde::{Deserialize, Serialize};

use super::Change;
use super::resize::with_ends;
use crate::editor::{Bars, GridStep, Selection};
use crate::music::{Note, Score, Tick, TicksPerQuarter};

/// What is brought to the grid.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuantizeEdges {
    /// Where notes begin; their lengths stay.
    #[default]
    Starts,
    /// Where notes end; where they begin stays.
    Ends,
    Both,
}

/// How notes are brought to the grid.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Quantize {
    pub step: GridStep,
    pub edges: QuantizeEdges,
    /// How much of the way to the grid: 0 is none, 1 all of it.
    pub strength: f64,
    /// How late every second line of a bar is: 0 is straight, 1 a third of a step, which is the
    /// swing of triplets.
    pub swing: f64,
}

impl Default for Quantize {
    fn default() -> Self {
        Self { step: GridStep::default(), edges: QuantizeEdges::Starts, strength: 1.0, swing: 0.0 }
    }
}

/// Brings the selected notes to the grid. No note loses all of its length: an end that would come
/// to lie on the start goes to the line after it.
pub fn quantize(score: &Score, selection: &Selection, how: &Quantize) -> Option<Change> {
    let lines = Lines {
        bars: Bars::new(score),
        ticks_per_quarter: score.tempo_map.ticks_per_quarter(),
        step: how.step,
        swing: unit(how.swing),
    };
    let strength = unit(how.strength);
    Change::replacing(score, selection, "Quantize", |note| lines.quantized(note, how, strength))
}

/// Anything brought into 0–1; NaN is 0.
fn unit(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) }
}

/// The lines of a grid, with swing.
struct Lines {
    bars: Bars,
    ticks_per_quarter: TicksPerQuarter,
    step: GridStep,
    swing: f64,
}

impl Lines {
    fn quantized(&self, note: &Note, how: &Quantize, strength: f64) -> Note {
        let start = match how.edges {
            QuantizeEdges::Ends => note.start,
            QuantizeEdges::Starts | QuantizeEdges::Both => {
                partway(note.start, self.nearest(note.start), strength)
            }
        };
        let end = match how.edges {
            QuantizeEdges::Starts => start.saturating_add(note.length),
            QuantizeEdges::Ends | QuantizeEdges::Both => {
                let mut line = self.nearest(note.end());
                if line <= start {
                    line = self.next(start);
                }
                partway(note.end(), line, strength).max(start.saturating_add(Tick(1)))
            }
        };
        with_ends(note, start.0, end.0)
    }

    /// The nearest line; halfway goes to the later one.
    fn nearest(&self, tick: Tick) -> Tick {
        let (bars, quarter) = (&self.bars, self.ticks_per_quarter);
        let before = self.step.line_before(tick, bars, quarter);
        let after = self.step.line_after(tick, bars, quarter);
        // Swing may have moved the line before past the tick.
        let earlier = self.step.line_before(before.saturating_sub(Tick(1)), bars, quarter);
        let lines = [after, before, earlier].map(|line| self.swung(line));
        lines.into_iter().min_by_key(|line| line.0.abs_diff(tick.0)).unwrap_or(tick)
    }

    /// The first line after a tick.
    fn next(&self, tick: Tick) -> Tick {
        let (bars, quarter) = (&self.bars, self.ticks_per_quarter);
        let before = self.swung(self.step.line_before(tick, bars, quarter));
        let after = self.swung(self.step.line_after(tick, bars, quarter));
        if before > tick { before } else { after }
    }

    /// Where a line is with swing: every second of a bar is late.
    fn swung(&self, line: Tick) -> Tick {
        let (bars, quarter) = (&self.bars, self.ticks_per_quarter);
        if self.step.number_in_bar(line, bars, quarter).is_multiple_of(2) {
            return line;
        }
        let step = f64::from(self.step.ticks(quarter, bars.at(line)));
        // A float to integer cast saturates.
        line.saturating_add(Tick((step / 3.0 * self.swing).round() as u32))
    }
}

/// A part of the way from one tick to another.
fn partway(from: Tick, to: Tick, strength: f64) -> Tick {
    let way = (f64::from(to.0) - f64::from(from.0)) * strength;
    // A float to integer cast saturates.
    Tick((f64::from(from.0) + way).round() as u32)
}
