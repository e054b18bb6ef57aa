//! What the roll does by the keyboard alone.

use egui::{EventFilter, Key, Modifiers, Response, Ui};

use super::caret::RollCaret;
use super::gesture::{Gesture, Held, MoveNotes, ResizeNotes};
use super::{PianoRollEditor, RollFrame, RollResponse, chord_at, text};
use crate::editor::Selection;
use crate::editor::operations::Shift;
use crate::music::Tick;

/// What a key asks for.
#[derive(Clone, Copy)]
enum Wish {
    Cancel,
    /// Grid steps, and semitones or degrees of the scale.
    Move(i64, i32),
    /// Bars.
    MoveBars(i64),
    /// Grid steps.
    Lengthen(i64),
    Walk(Way),
    /// A note at the caret.
    Write,
}

impl Wish {
    /// What the key asks for that was pressed so often at once.
    fn repeated(self, n_presses: usize) -> Self {
        let n = i32::try_from(n_presses).unwrap_or(i32::MAX);
        match self {
            Self::Move(steps, semitones) => {
                Self::Move(steps * i64::from(n), semitones.saturating_mul(n))
            }
            Self::MoveBars(bars) => Self::MoveBars(bars * i64::from(n)),
            Self::Lengthen(steps) => Self::Lengthen(steps * i64::from(n)),
            once => once,
        }
    }
}

/// From note to note.
#[derive(Clone, Copy)]
enum Way {
    On,
    Back,
}

const KEYS: [(Modifiers, Key, Wish); 14] = [
    (Modifiers::NONE, Key::Escape, Wish::Cancel),
    (Modifiers::SHIFT, Key::Tab, Wish::Walk(Way::Back)),
    (Modifiers::NONE, Key::Tab, Wish::Walk(Way::On)),
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
    (Modifiers::NONE, Key::Enter, Wish::Write),
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
        self.has_focus = response.has_focus();
        if std::mem::take(&mut self.wants_note) {
            response.request_focus();
            self.fulfil(Wish::Write, frame, out);
            return;
        }
        // An open menu takes the keys, Escape above all.
        let is_mine = self.has_focus && !egui::Popup::is_any_open(ui.ctx());
        if !is_mine && self.gesture.is_none() {
            return;
        }
        // Where there is nothing to walk through, Tab goes on to the next control.
        let has_notes = frame.is_editable() && !frame.index.score().notes().is_empty();
        let keeps = EventFilter {
            tab: has_notes,
            horizontal_arrows: true,
            vertical_arrows: true,
            escape: true,
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, keeps));
        for (modifiers, key, wish) in KEYS {
            let is_possible = match wish {
                Wish::Cancel | Wish::Write | Wish::Move(..) | Wish::MoveBars(_) => true,
                Wish::Walk(_) => has_notes,
                Wish::Lengthen(_) => !frame.view.selection.is_empty(),
            };
            // A key without a meaning now is left to others.
            if !is_possible {
                continue;
            }
            // In a slow frame a key may come more than once.
            let n_presses = ui.input_mut(|input| input.count_and_consume_key(modifiers, key));
            if n_presses > 0 {
                match wish {
                    Wish::Cancel => self.cancel(response, frame, out),
                    wish => self.fulfil(wish.repeated(n_presses), frame, out),
                }
                return;
            }
        }
    }

    /// Gives up the gesture; without one lets go of the selection; without that of the keyboard,
    /// so that nobody is caught here.
    fn cancel(&mut self, response: &Response, frame: &RollFrame<'_>, out: &mut RollResponse) {
        self.press = None;
        if self.gesture.take().is_some() {
            return;
        }
        if frame.view.selection.is_empty() {
            response.surrender_focus();
            self.has_focus = false;
        } else {
            out.selection = Some(Selection::new());
        }
    }

    fn fulfil(&mut self, wish: Wish, frame: &RollFrame<'_>, out: &mut RollResponse) {
        if !frame.is_editable() {
            out.is_refused = true;
            return;
        }
        // While something is being dragged nothing else is done to it.
        if self.gesture.is_some() {
            return;
        }
        match wish {
            Wish::Cancel => {}
            Wish::Walk(way) => self.walk(way, frame, out),
            Wish::Write => self.write_at_caret(frame, out),
            wish if frame.view.selection.is_empty() => self.step_caret(wish, frame),
            wish => self.change_selected(wish, frame, out),
        }
    }

    /// Selects the next note or the one before, lets it sound and brings it into view. At the
    /// last one it stays there.
    fn walk(&mut self, way: Way, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let (score, selection) = (frame.index.score(), frame.view.selection);
        let note = match way {
            Way::On => selection.next_note(score).or_else(|| score.notes().last().copied()),
            Way::Back => selection.previous_note(score).or_else(|| score.notes().first().copied()),
        };
        let Some(note) = note else { return };
        self.model = Some(note);
        self.caret = RollCaret { tick: note.start, pitch: note.pitch };
        self.viewport.reveal(f64::from(note.start.0), note.pitch.number());
        out.audition.push((note.pitch, note.velocity));
        out.selection = Some(Selection::of([&note]));
        out.status = Some(text::hint(&note, &frame.index));
    }

    fn step_caret(&mut self, wish: Wish, frame: &RollFrame<'_>) {
        let (step, bar) = self.steps(frame, self.caret.tick);
        match wish {
            Wish::Move(steps, semitones) => {
                let semitones = self.semitones_from(self.caret.pitch, semitones);
                self.move_caret(steps * step, semitones);
            }
            Wish::MoveBars(bars) => self.move_caret(bars * bar, 0),
            _ => {}
        }
    }

    /// Ticks of a step of the grid and of a bar at a place.
    fn steps(&self, frame: &RollFrame<'_>, at: Tick) -> (i64, i64) {
        let bar = frame.index.bars().at(at);
        let step = self.step_at(&frame.index, at);
        let step = step.ticks(frame.index.score().tempo_map.ticks_per_quarter(), bar);
        (i64::from(step), i64::from(bar.end.0 - bar.start.0))
    }

    fn change_selected(&mut self, wish: Wish, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let (score, selection) = (frame.index.score(), frame.view.selection);
        let Some(first) = selection.notes(score).next().copied() else { return };
        let held = Held::new(first, score, selection);
        let (step, bar) = self.steps(frame, first.start);
        let gesture = match wish {
            Wish::Move(steps, semitones) => {
                // The others keep their distance to the first one, as when it is dragged.
                let semitones = self.semitones_from(first.pitch, semitones);
                let shift = Shift { ticks: steps.saturating_mul(step), semitones };
                Gesture::Move(MoveNotes::by(held, shift))
            }
            Wish::MoveBars(bars) => {
                let shift = Shift { ticks: bars.saturating_mul(bar), semitones: 0 };
                Gesture::Move(MoveNotes::by(held, shift))
            }
            Wish::Lengthen(steps) => {
                Gesture::Resize(ResizeNotes::by(held, steps.saturating_mul(step)))
            }
            Wish::Cancel | Wish::Walk(_) | Wish::Write => return,
        };
        let chord = match &gesture {
            Gesture::Move(moved) => moved.preview(),
            _ => Vec::new(),
        };
        self.gesture = Some(gesture);
        self.finish(frame, out);
        // What a key moved stays in view, and is heard at another pitch.
        if let Some(now) = chord.first().copied() {
            self.viewport.reveal(f64::from(now.start.0), now.pitch.number());
            self.caret = RollCaret { tick: now.start, pitch: now.pitch };
            if now.pitch != first.pitch {
                out.audition.extend(chord_at(&chord, now.start));
            }
        }
    }
}
