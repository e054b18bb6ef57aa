//! What the roll does by the keyboard alone.

use egui::{EventFilter, Key, Modifiers, Response, Ui};

use super::gesture::{Gesture, MoveNotes, ResizeNotes};
use super::{PianoRollEditor, RollFrame, RollResponse};
use crate::editor::{NoteKey, ScoreEdit, Selection, selected_notes};
use crate::music::Note;

/// What a key asks for.
#[derive(Clone, Copy)]
enum Wish {
    Cancel,
    SelectAll,
    Delete,
    /// Grid steps and semitones.
    Move(i64, i32),
    /// Bars.
    MoveBars(i64),
    /// Grid steps.
    Lengthen(i64),
}

const KEYS: [(Modifiers, Key, Wish); 14] = [
    (Modifiers::NONE, Key::Escape, Wish::Cancel),
    (Modifiers::COMMAND, Key::A, Wish::SelectAll),
    (Modifiers::NONE, Key::Delete, Wish::Delete),
    (Modifiers::NONE, Key::Backspace, Wish::Delete),
    (Modifiers::SHIFT, Key::ArrowUp, Wish::Move(0, 12)),
    (Modifiers::SHIFT, Key::ArrowDown, Wish::Move(0, -12)),
    (Modifiers::SHIFT, Key::ArrowLeft, Wish::Lengthen(-1)),
    (Modifiers::SHIFT, Key::ArrowRight, Wish::Lengthen(1)),
    (Modifiers::COMMAND, Key::ArrowLeft, Wish::MoveBars(-1)),
    (Modifiers::COMMAND, Key::ArrowRight, Wish::MoveBars(1)),
    (Modifiers::NONE, Key::ArrowUp, Wish::Move(0, 1)),
    (Modifiers::NONE, Key::ArrowDown, Wish::Move(0, -1)),
    (Modifiers::NONE, Key::ArrowLeft, Wish::Move(-1, 0)),
    (Modifiers::NONE, Key::ArrowRight, Wish::Move(1, 0)),
];

impl PianoRollEditor {
    /// Keys count while the roll is what was touched last; an unfinished gesture can always be
    /// cancelled.
    pub(super) fn keys(
        &mut self,
        ui: &Ui,
        response: &Response,
        frame: &RollFrame<'_>,
        out: &mut RollResponse,
    ) {
        if !response.has_focus() && self.gesture.is_none() {
            return;
        }
        let keeps = EventFilter {
            tab: false,
            horizontal_arrows: true,
            vertical_arrows: true,
            escape: true,
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, keeps));
        for (modifiers, key, wish) in KEYS {
            let is_possible = match wish {
                Wish::Cancel | Wish::SelectAll => true,
                _ => !frame.view.selection.is_empty(),
            };
            // A key without a meaning now is left to others.
            if is_possible && ui.input_mut(|input| input.consume_key(modifiers, key)) {
                self.fulfil(wish, frame, out);
                return;
            }
        }
    }

    fn fulfil(&mut self, wish: Wish, frame: &RollFrame<'_>, out: &mut RollResponse) {
        if let Wish::Cancel = wish {
            if self.gesture.take().is_none() && !frame.view.selection.is_empty() {
                out.selection = Some(Selection::new());
            }
            self.press = None;
            return;
        }
        if !frame.is_editable() {
            out.is_refused = true;
            return;
        }
        // While something is being dragged nothing else is done to it.
        if self.gesture.is_some() {
            return;
        }
        let score = frame.index.score();
        if let Wish::SelectAll = wish {
            out.selection = Some(score.notes().iter().map(NoteKey::from).collect());
            return;
        }
        let notes: Vec<Note> = selected_notes(score, frame.view.selection).copied().collect();
        let Some(first) = notes.first().copied() else { return };
        let bar = frame.index.bars().at(first.start);
        let step = self.step_at(&frame.index, first.start);
        let step = i64::from(step.ticks(score.tempo_map.ticks_per_quarter(), bar));
        let rows = self.viewport.pitches();
        let rows = (*rows.start(), *rows.end());
        self.gesture = match wish {
            Wish::Delete => {
                out.edit = Some(ScoreEdit::Delete { notes });
                out.selection = Some(Selection::new());
                None
            }
            Wish::Move(steps, semitones) => {
                MoveNotes::by(notes, steps * step, semitones, rows).map(Gesture::Move)
            }
            Wish::MoveBars(bars) => {
                let ticks = i64::from(bar.end.0 - bar.start.0);
                MoveNotes::by(notes, bars * ticks, 0, rows).map(Gesture::Move)
            }
            Wish::Lengthen(steps) => ResizeNotes::by(notes, steps * step).map(Gesture::Resize),
            Wish::Cancel | Wish::SelectAll => None,
        };
        self.hear_the_keys(first, out);
        self.finish(frame, out);
    }

    /// What a key moved is heard, and stays in view.
    fn hear_the_keys(&mut self, first: Note, out: &mut RollResponse) {
        let Some(Gesture::Move(moved)) = &self.gesture else { return };
        let now = moved.grabbed_now();
        self.viewport.reveal(f64::from(now.start.0), now.pitch.number());
        if moved.semitones() != 0 {
            let with_first = |note: &Note| note.start == first.start;
            let chord = moved.preview().into_iter().filter(with_first).take(10);
            out.audition.extend(chord.map(|note| (note.pitch, note.velocity)));
        }
    }
}
