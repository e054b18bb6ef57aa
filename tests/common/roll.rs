//! A window with nothing but the piano roll, which does what the roll asks for and writes it down.

use std::sync::Arc;

use egui::vec2;
use egui_kittest::Harness;
use etude::editor::{History, Selection};
use etude::music::{Note, Score, TempoMap, Tick, Velocity};
use etude::ui::piano_roll::{KeyTouch, LoopChange, PianoRollEditor, RollEdit, RollView};
use etude::ui::theme::{Theme, ThemeName};

pub struct Desk {
    pub history: History,
    pub selection: Selection,
    pub roll: PianoRollEditor,
    pub theme: Theme,
    pub playhead_secs: f64,
    pub playing: bool,
    /// A take that is shown instead of the score.
    pub take: Option<Arc<Score>>,
    /// The edits that were asked for.
    pub labels: Vec<String>,
    pub seeks: Vec<f64>,
    pub scrubs: Vec<f64>,
    pub n_scrubs_ended: usize,
    pub touches: Vec<KeyTouch>,
    /// Pitch and velocity of all that sounded.
    pub heard: Vec<(u8, u8)>,
    pub status: String,
    pub n_refused: usize,
}

impl Desk {
    fn ui(&mut self, ui: &mut egui::Ui) {
        let view = RollView {
            score: &self.history.score().clone(),
            streaming: self.take.as_ref(),
            selection: &self.selection,
            playhead_secs: self.playhead_secs,
            playing: self.playing,
            theme: &self.theme,
        };
        let out = self.roll.ui(ui, view);
        for RollEdit { edit, selection } in out.edits {
            self.labels.push(edit.label());
            let before = Some(&self.selection);
            let (score, state) = (Arc::clone(self.history.score()), self.history.state());
            self.history.commit_selected(&edit, before, selection.as_ref()).unwrap();
            if self.history.state() != state {
                self.check_undo(&score, &edit.label());
            }
            self.selection = selection.unwrap_or_else(|| self.selection.clone());
        }
        if let Some(selection) = out.selection {
            self.selection = selection;
        }
        match out.loop_change {
            Some(LoopChange::Set(from, to)) => self.roll.marks.loop_range = Some((from, to)),
            Some(LoopChange::Remove) => self.roll.marks.loop_range = None,
            None => {}
        }
        self.seeks.extend(out.seek_secs);
        self.scrubs.extend(out.scrub_secs);
        self.n_scrubs_ended += usize::from(out.ends_scrub);
        let struck = out.key_touches.iter().filter_map(|touch| match *touch {
            KeyTouch::Down(pitch, velocity) | KeyTouch::Drag(pitch, velocity) => {
                Some((pitch, velocity))
            }
            KeyTouch::Up => None,
        });
        let heard = struck.chain(out.audition.iter().copied());
        self.heard.extend(heard.map(|(pitch, velocity)| (pitch.number(), velocity.number())));
        self.touches.extend(out.key_touches);
        self.status = out.status.unwrap_or_default();
        self.n_refused += usize::from(out.is_refused);
    }
}

impl Desk {
    /// Whatever was done just now: undo brings the score back with what was chosen in it, and redo
    /// what was done.
    fn check_undo(&self, before: &Arc<Score>, label: &str) {
        let mut history = self.history.clone();
        assert_eq!(history.undo().as_deref(), Some(label), "each gesture is a step");
        assert_eq!(history.score(), before, "{label}");
        let chosen = |selection: &Selection| selection.notes(before).copied().collect::<Vec<_>>();
        assert_eq!(chosen(history.selection()), chosen(&self.selection), "{label}");
        history.redo();
        assert_eq!(history.score(), self.history.score(), "{label}");
    }
}

/// A roll of 1,000 × 600 points with a score, as `roll` looks at it.
pub fn open(score: Score, roll: PianoRollEditor) -> Harness<'static, Desk> {
    let desk = Desk {
        history: History::new(score),
        selection: Selection::new(),
        roll,
        theme: ThemeName::Dark.theme(),
        playhead_secs: 0.0,
        playing: false,
        take: None,
        labels: Vec::new(),
        seeks: Vec::new(),
        scrubs: Vec::new(),
        n_scrubs_ended: 0,
        touches: Vec::new(),
        heard: Vec::new(),
        status: String::new(),
        n_refused: 0,
    };
    let builder = Harness::builder().with_size(vec2(1000.0, 600.0)).with_step_dt(0.05);
    let mut roll = builder.build_ui_state(|ui, desk: &mut Desk| desk.ui(ui), desk);
    roll.state().theme.apply(&roll.ctx);
    roll.run();
    roll
}

/// The same with notes of a piano.
pub fn open_notes(notes: Vec<Note>) -> Harness<'static, Desk> {
    open(Score::piano(TempoMap::default(), notes), PianoRollEditor::default())
}

pub fn note(start: u32, length: u32, pitch: &str) -> Note {
    let (start, length) = (Tick(start), Tick(length));
    let velocity = Velocity::new(80).unwrap();
    Note { start, length, pitch: pitch.parse().unwrap(), velocity, part: 0 }
}
