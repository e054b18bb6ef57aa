//! Edits of the sustain pedal, part by part.

use super::EditError;
use crate::music::{PedalSpan, Score, Tick};

/// A change of the sustain pedal. After it no two spans of the part overlap where it was changed;
/// spans that only touch stay two, since the dampers fall between them.
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
        let mut spans = score.pedal.clone();
        match self {
            Self::Draw(span) => draw(&mut spans, *span, score)?,
            Self::Erase(span) => erase(&mut spans, *span)?,
            Self::Replace { pairs, .. } => {
                for (old, _) in pairs {
                    take(&mut spans, old)?;
                }
                for (_, new) in pairs {
                    draw(&mut spans, *new, score)?;
                }
            }
            Self::Delete { spans: gone } => {
                for span in gone {
                    take(&mut spans, span)?;
                }
            }
        }
        spans.sort_by_key(|span| (span.start, span.part, span.end));
        let mut after = score.clone();
        after.pedal = spans;
        Ok(after)
    }
}

fn take(spans: &mut Vec<PedalSpan>, gone: &PedalSpan) -> Result<(), EditError> {
    let place = spans.iter().position(|span| span == gone);
    spans.remove(place.ok_or(EditError::MissingPedal(gone.start))?);
    Ok(())
}

fn draw(spans: &mut Vec<PedalSpan>, span: PedalSpan, score: &Score) -> Result<(), EditError> {
    if span.start >= span.end {
        return Err(EditError::NoSpan);
    }
    if usize::from(span.part) >= score.parts.len() {
        return Err(EditError::NoPart(span.part));
    }
    let mut joined = span;
    // Those it overlaps may, in a file from elsewhere, overlap others in turn.
    loop {
        let n_before = spans.len();
        spans.retain(|other| {
            let overlaps =
                other.part == joined.part && other.start < joined.end && joined.start < other.end;
            if overlaps {
                joined.start = joined.start.min(other.start);
                joined.end = joined.end.max(other.end);
            }
            !overlaps
        });
        if spans.len() == n_before {
            break;
        }
    }
    spans.push(joined);
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
    Ok(())
}
