//! Edits of the track list.

use super::EditError;
use crate::music::{ExtraHome, Note, Part, Score, Track};

/// A change of the score's parts.
#[derive(Clone, PartialEq, Debug)]
pub enum PartEdit {
    Rename {
        track: Track,
        name: String,
    },
    /// `None` is the color of its place.
    SetColor {
        track: Track,
        color: Option<u8>,
    },
    Mute {
        track: Track,
        is_muted: bool,
    },
    Solo {
        track: Track,
        is_solo: bool,
    },
    /// A channel 0–15 but for 9, a General MIDI program 0–127.
    SetInstrument {
        part: u8,
        channel: u8,
        program: u8,
    },
    /// After all others.
    Add(Part),
    /// With its notes, its pedal and all else it has. The parts after it move up.
    Delete(u8),
}

impl PartEdit {
    pub(super) fn label(&self) -> String {
        match self {
            Self::Rename { name, .. } => format!("Rename part to “{name}”"),
            Self::SetColor { .. } => "Change color of part".to_owned(),
            Self::Mute { is_muted: true, .. } => "Mute part".to_owned(),
            Self::Mute { .. } => "Unmute part".to_owned(),
            Self::Solo { is_solo: true, .. } => "Solo part".to_owned(),
            Self::Solo { .. } => "End solo of part".to_owned(),
            Self::SetInstrument { .. } => "Change instrument of part".to_owned(),
            Self::Add(_) => "Add part".to_owned(),
            Self::Delete(_) => "Delete part".to_owned(),
        }
    }

    pub(super) fn apply(&self, score: &Score) -> Result<Score, EditError> {
        if let Self::Delete(part) = self {
            return without_part(score, *part);
        }
        let mut after = score.clone();
        match self {
            Self::Rename { track, name } => track_of(&mut after, *track)?.name.clone_from(name),
            Self::SetColor { track, color } => track_of(&mut after, *track)?.color = *color,
            Self::Mute { track, is_muted } => track_of(&mut after, *track)?.is_muted = *is_muted,
            Self::Solo { track, is_solo } => track_of(&mut after, *track)?.is_solo = *is_solo,
            Self::SetInstrument { part, channel, program } => {
                let part = track_of(&mut after, Track::Part(*part))?;
                (part.channel, part.program) = (*channel, *program);
                check(part)?;
            }
            Self::Add(part) => {
                check(part)?;
                if after.parts.len() >= usize::from(u8::MAX) {
                    return Err(EditError::TooManyParts);
                }
                after.parts.push(part.clone());
            }
            // Has gone its own way.
            Self::Delete(_) => {}
        }
        Ok(after)
    }
}

fn track_of(score: &mut Score, track: Track) -> Result<&mut Part, EditError> {
    match track {
        Track::Part(part) => score.parts.get_mut(usize::from(part)).ok_or(EditError::NoPart(part)),
        Track::Drums => Ok(&mut score.drum_part),
    }
}

fn check(part: &Part) -> Result<(), EditError> {
    if part.channel > 15 || part.channel == 9 {
        return Err(EditError::BadChannel);
    }
    if part.program > 127 {
        return Err(EditError::BadProgram);
    }
    Ok(())
}

fn without_part(score: &Score, gone: u8) -> Result<Score, EditError> {
    if usize::from(gone) >= score.parts.len() {
        return Err(EditError::NoPart(gone));
    }
    if score.parts.len() == 1 {
        return Err(EditError::LastPart);
    }
    // Where a part stands after it.
    let moved = |part: u8| match part.cmp(&gone) {
        std::cmp::Ordering::Less => Some(part),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(part - 1),
    };
    let mut after = score.with_notes_in_order(Vec::new());
    after.parts.remove(usize::from(gone));
    let note = |note: &Note| moved(note.part).map(|part| Note { part, ..*note });
    after.set_notes(score.notes().iter().filter_map(note).collect());
    after.pedal.retain(|span| span.part != gone);
    for span in &mut after.pedal {
        span.part = moved(span.part).unwrap_or(span.part);
    }
    if score.extras.iter().any(|extra| matches!(extra.home, ExtraHome::Part(_))) {
        let extras = score.extras.iter().filter_map(|extra| {
            let home = match extra.home {
                ExtraHome::Part(part) => ExtraHome::Part(moved(part)?),
                home => home,
            };
            Some(crate::music::Extra { home, ..extra.clone() })
        });
        after.extras = extras.collect();
    }
    Ok(after)
}
