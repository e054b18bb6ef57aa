//! Edits of the sustain pedal, part by part.

use std::collections::HashMap;

use super::{EditError, first_part};
use crate::music::{PedalSpan, Score, Tick};

/// A change of the sustain pedal. Where spans are drawn, moved or resized, no two of that part
/// overlap afterwards; spans that only touch stay two, since the dampers fall between them.
#[derive(Clone, PartialEq, Debug)]
pub enum PedalEdit {
    /// Down for a span, joined with those it overlaps.
    Draw(PedalSpan),
    /// Up for a span; one that is held over it becomes two.
    Erase(PedalSpan),
    /// Each span becomes the other, and is joined with those it then overlaps: moving, resizing.
    /// `label` goes before "pedal": "Move", "Resize".
    Replace {
        pairs: Vec<(PedalSpan, PedalSpan)>,
        label: &'static str,
    },
    Delete {
        spans: Vec<PedalSpan>,
    },
}

impl PedalEdit {
    pub(super) fn label(&self) -> String {
        match self {
            Self::Draw(_) => "Draw pedal".to_owned(),
            Self::Erase(_) => "Erase pedal".to_owned(),
            Self::Replace { label, .. } => format!("{label} pedal"),
            Self::Delete { .. } => "Delete pedal".to_owned(),
        }
    }

    pub(super) fn apply(&self, score: &Score) -> Result<Score, EditError> {
        let mut after = score.clone();
        if let Self::Draw(_) = self {
            after.parts.extend(first_part(score));
        }
        let (mut spans, n_parts) = (std::mem::take(&mut after.pedal), after.parts.len());
        match self {
            Self::Draw(span) => add(&mut spans, &[*span], n_parts)?,
            Self::Erase(span) => erase(&mut spans, *span)?,
            Self::Replace { pairs, .. } => {
                let (old, new): (Vec<PedalSpan>, Vec<PedalSpan>) = pairs.iter().copied().unzip();
                take(&mut spans, &old)?;
                add(&mut spans, &new, n_parts)?;
            }
            Self::Delete { spans: gone } => take(&mut spans, gone)?,
        }
        after.pedal = spans;
        Ok(after)
    }
}

fn take(spans: &mut Vec<PedalSpan>, gone: &[PedalSpan]) -> Result<(), EditError> {
    let mut wanted: HashMap<PedalSpan, usize> = HashMap::with_capacity(gone.len());
    for span in gone {
        *wanted.entry(*span).or_default() += 1;
    }
    spans.retain(|span| match wanted.get_mut(span) {
        Some(n) if *n > 0 => {
            *n -= 1;
            false
        }
        _ => true,
    });
    let missing = wanted.into_iter().filter(|(_, n)| *n > 0).map(|(span, _)| span.start).min();
    missing.map_or(Ok(()), |start| Err(EditError::MissingPedal(start)))
}

/// Adds spans, and joins those of their parts that overlap.
fn add(spans: &mut Vec<PedalSpan>, new: &[PedalSpan], n_parts: usize) -> Result<(), EditError> {
    let mut is_touched = [false; 256];
    for span in new {
        if span.start >= span.end {
            return Err(EditError::NoSpan);
        }
        if usize::from(span.part) >= n_parts {
            return Err(EditError::NoPedalPart(span.part));
        }
        is_touched[usize::from(span.part)] = true;
    }
    spans.extend_from_slice(new);
    spans.sort_by_key(|span| (span.part, span.start, span.end));
    let mut joined: Vec<PedalSpan> = Vec::with_capacity(spans.len());
    for span in spans.drain(..) {
        match joined.last_mut() {
            Some(last)
                if is_touched[usize::from(span.part)]
                    && last.part == span.part
                    && span.start < last.end =>
            {
                last.end = last.end.max(span.end);
            }
            _ => joined.push(span),
        }
    }
    joined.sort_by_key(|span| (span.start, span.part, span.end));
    *spans = joined;
    Ok(())
}

fn erase(spans: &mut Vec<PedalSpan>, gone: PedalSpan) -> Result<(), EditError> {
    if gone.start >= gone.end {
        return Err(EditError::NoSpan);
    }
    let cut = |span: &PedalSpan| {
        let is_cut = span.part == gone.part && span.start < gone.end && gone.start < span.end;
        let piece = |start: Tick, end: Tick| PedalSpan { start, end, ..*span };
        let pieces = match is_cut {
            true => [
                piece(span.start, span.end.min(gone.start)),
                piece(span.start.max(gone.end), span.end),
            ],
            false => [*span, piece(Tick::ZERO, Tick::ZERO)],
        };
        pieces.into_iter().filter(|piece| piece.start < piece.end)
    };
    *spans = spans.iter().flat_map(cut).collect();
    spans.sort_by_key(|span| (span.start, span.part, span.end));
    Ok(())
}
