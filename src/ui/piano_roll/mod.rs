//! The piano roll: a score that can be looked at, heard and changed.
//!
//! The widget owns only how it is looked at (viewport, unfinished gesture). It never changes the
//! score: a gesture yields one [`ScoreEdit`], which the window commits as one step of undo.
//!
//! - `viewport`: ticks and pitches ↔ points; the only pixel maths
//! - `index`: what is worked out once for a score
//! - `hit`: what lies under the pointer
//! - `gesture`: what a drag means, one file each, in ticks and pitches
//! - `tools`: what a press and a drag mean
//! - `pointer`, `wheel`, `keys`: from mouse and keyboard to gestures
//! - `caret`: where Enter writes a note
//! - `context_menu`: what can be done where the pointer is
//! - `regions`, `options`: where the parts of the roll lie, and which are shown
//! - `ruler`, `flags`, `chord_strip`: over the notes: loop, tempo and meter, harmonies
//! - `lanes`: under them: velocities and pedal
//! - `keyboard`: at their left
//! - `minimap`, `follow`: where in the piece one is
//! - `look`: what a project keeps of how it was looked at
//! - `summary`: the piece from far away
//! - `show`, `paint`: how it looks
//! - `text`, `accessibility`: notes in words, also for a screen reader

mod accessibility;
mod caret;
mod chord_strip;
pub mod context_menu;
mod flags;
mod follow;
mod gesture;
mod hit;
mod index;
mod keyboard;
mod keys;
mod lanes;
mod look;
mod minimap;
mod options;
mod paint;
mod pointer;
mod regions;
mod ruler;
mod show;
mod summary;
mod text;
mod tools;
mod viewport;
mod wheel;

use std::sync::Arc;

use egui::{Id, Sense, Ui};

use crate::editor::{Change, Extent, Grid, GridStep, ScoreEdit, Selection};
use crate::music::{KeyScale, Note, Pitch, Score, Tick, Velocity};
use crate::ui::theme::Theme;
use caret::RollCaret;
use chord_strip::Chords;
pub use context_menu::MenuPlace;
use flags::Flags;
use gesture::{Gesture, Surroundings};
use index::ScoreIndex;
pub use keyboard::KeyTouch;
use lanes::Lanes;
pub use look::RollLook;
use minimap::Minimap;
pub use options::{Fold, Follow, RollMarks, RollOptions};
use regions::Regions;
use ruler::RulerDrag;
pub use tools::Tool;
pub use viewport::Viewport;

/// Lines that notes snap to are at least so far apart when the grid follows the zoom, in points.
const MIN_GRID: f64 = 12.0;

/// Notes of a chord that are let sound at once when it is touched or moved.
const MAX_HEARD: usize = 10;

/// What is heard of notes that are touched, which come in order: those that sound at a tick.
pub fn chord_at<'a>(
    notes: impl IntoIterator<Item = &'a Note>,
    tick: Tick,
) -> impl Iterator<Item = (Pitch, Velocity)> {
    let begun = notes.into_iter().take_while(move |note| note.start <= tick);
    let sounding = begun.filter(move |note| tick < note.end()).take(MAX_HEARD);
    sounding.map(|note| (note.pitch, note.velocity))
}

/// What the roll shows.
///
/// Scores come in an [`Arc`] so that the roll sees by the pointer whether it must look through
/// them again.
pub struct RollView<'a> {
    pub score: &'a Arc<Score>,
    /// A take shown instead of the score, read-only. It may grow from frame to frame.
    pub streaming: Option<&'a Arc<Score>>,
    pub selection: &'a Selection,
    pub playhead_secs: f64,
    pub playing: bool,
    pub theme: &'a Theme,
}

/// What the user did in it.
#[derive(Default)]
pub struct RollResponse {
    /// What is done to the piece: to be committed in this order, each as one step. Each is meant
    /// for the score that those before it leave.
    pub edits: Vec<RollEdit>,
    /// The selection from now on, after all edits.
    pub selection: Option<Selection>,
    /// Where the music is to go on.
    pub seek_secs: Option<f64>,
    /// The playhead is dragged to here, and what it passes is to be heard.
    pub scrub_secs: Option<f64>,
    /// The playhead was let go.
    pub ends_scrub: bool,
    /// What becomes of the loop.
    pub loop_change: Option<LoopChange>,
    /// What the mouse did to the keys of the keyboard, in order.
    pub key_touches: Vec<KeyTouch>,
    /// Keys to be heard for a moment.
    pub audition: Vec<(Pitch, Velocity)>,
    /// A take is shown, which can't be changed, and the user tried to.
    pub is_refused: bool,
    /// What is under the pointer or being done, in words for a status line.
    pub status: Option<String>,
    /// Where the notes lie, for a menu over them.
    pub canvas: Option<egui::Response>,
    /// The other button was pressed here.
    pub menu_place: Option<MenuPlace>,
}

/// One step, and what is selected after it; without that what was selected stays so.
#[derive(Clone, PartialEq, Debug)]
pub struct RollEdit {
    pub edit: ScoreEdit,
    pub selection: Option<Selection>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoopChange {
    Set(Tick, Tick),
    Remove,
}

impl RollResponse {
    /// Commits a change of the notes.
    fn change(&mut self, Change { edit, selection }: Change) {
        self.edits.push(RollEdit { edit, selection: Some(selection) });
        // What was chosen before it is no longer what is meant.
        self.selection = None;
    }

    /// Commits what doesn't touch the notes.
    fn edit(&mut self, edit: ScoreEdit) {
        self.edits.push(RollEdit { edit, selection: None });
    }

    /// What is selected once this is done, if it says so.
    fn selection_after(&self) -> Option<&Selection> {
        let edited = || self.edits.iter().rev().find_map(|edit| edit.selection.as_ref());
        self.selection.as_ref().or_else(edited)
    }
}

/// The widget's own state: how the score is looked at, and what is being done to it.
pub struct PianoRollEditor {
    /// What notes snap to.
    pub grid: Grid,
    /// What a press and a drag mean.
    pub tool: Tool,
    /// What is shown, and how.
    pub options: RollOptions,
    /// What the window knows of the piece besides the score.
    pub marks: RollMarks,
    /// What an open dialog would make of the chosen notes: shown as a gesture's notes are.
    pub proposed: Option<Vec<Note>>,
    viewport: Viewport,
    index: Option<Arc<ScoreIndex>>,
    /// What `index` is of.
    shown: Shown,
    request: Option<ViewRequest>,
    gesture: Option<Gesture>,
    /// A gesture that ended in this frame: it is still painted, since its edit is committed only
    /// after the frame.
    ended: Option<Gesture>,
    press: Option<pointer::Press>,
    /// The last click was spent on something, so that a second one right after it isn't a
    /// double-click on what is there now.
    has_spent_click: bool,
    /// Where Enter writes a note.
    caret: RollCaret,
    /// A note at the caret was asked for from outside.
    wants_note: bool,
    /// Whether the keys are the roll's.
    has_focus: bool,
    /// What the menu is about that was opened last.
    menu_place: MenuPlace,
    /// What new notes are like: the note touched last.
    model: Option<Note>,
    /// The key that a drag has let sound last, so that it isn't struck in every frame.
    heard: Option<Pitch>,
    /// The key of the keyboard that the mouse holds down.
    held_key: Option<Pitch>,
    ruler_drag: Option<RulerDrag>,
    flags: Flags,
    lanes: Lanes,
    chords: Option<Chords>,
    minimap: Option<Minimap>,
    /// Whether the user has looked elsewhere while the music played or a take was written.
    looked_away: bool,
    /// While a take is shown: how the score was looked at before, and how far the take went.
    behind_take: Option<BehindTake>,
}

/// What the roll looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Score,
    Take,
}

struct BehindTake {
    viewport: Viewport,
    end: Tick,
}

/// Which part of the piece to show, once it is known how large the roll is.
#[derive(Clone, Copy)]
enum ViewRequest {
    Start,
    All,
    Selection,
    Look(RollLook),
    /// A take from its start, all of its pitches to be seen.
    Take,
}

impl Default for PianoRollEditor {
    fn default() -> Self {
        Self {
            grid: Grid::default(),
            tool: Tool::default(),
            options: RollOptions::default(),
            marks: RollMarks::default(),
            proposed: None,
            viewport: Viewport::new(480),
            index: None,
            shown: Shown::Score,
            request: Some(ViewRequest::Start),
            gesture: None,
            ended: None,
            press: None,
            has_spent_click: false,
            caret: RollCaret::default(),
            wants_note: false,
            has_focus: false,
            menu_place: MenuPlace::default(),
            model: None,
            heard: None,
            held_key: None,
            ruler_drag: None,
            flags: Flags::default(),
            lanes: Lanes::default(),
            chords: None,
            minimap: None,
            looked_away: false,
            behind_take: None,
        }
    }
}

/// What every part of one frame needs.
struct RollFrame<'a> {
    index: Arc<ScoreIndex>,
    view: RollView<'a>,
    /// What is selected now: what was, until something of this frame is settled.
    selection: Selection,
    regions: Regions,
    playhead: Tick,
    id: Id,
    /// How many of the edits of this frame `index` has in it.
    n_settled: usize,
}

impl RollFrame<'_> {
    /// A take is only looked at.
    fn is_editable(&self) -> bool {
        self.view.streaming.is_none()
    }

    /// Goes on with the piece as the edits so far leave it: what comes later in this frame is
    /// meant for that, and is committed after them.
    fn settle(&mut self, out: &RollResponse) {
        for RollEdit { edit, selection } in &out.edits[self.n_settled..] {
            // One that can't be applied is refused in words by whoever commits it.
            if let Ok(score) = edit.apply(self.index.score()) {
                self.index = Arc::new(ScoreIndex::new(&Arc::new(score)));
                if let Some(selection) = selection {
                    self.selection = selection.clone();
                }
            }
        }
        self.n_settled = out.edits.len();
    }
}

impl PianoRollEditor {
    /// Shows the piece from its start, at a size at which one can work: for a piece just opened.
    pub fn show_start(&mut self) {
        self.request = Some(ViewRequest::Start);
    }

    /// A roll for another piece, with the same options, tool and grid.
    pub fn for_another_piece(&self) -> Self {
        Self {
            options: self.options,
            tool: self.tool,
            grid: self.grid,
            // What is held down now is let go in this one.
            held_key: self.held_key,
            ruler_drag: self.ruler_drag.filter(|drag| drag.is_seek()),
            ..Self::default()
        }
    }

    /// Shows the whole piece.
    pub fn fit_all(&mut self) {
        self.request = Some(ViewRequest::All);
    }

    /// Looks at a place in the piece, as near as one looked before.
    pub fn go_to(&mut self, tick: Tick) {
        self.viewport.scroll_to(f64::from(tick.0));
        self.looked_away = false;
    }

    /// Shows the selected notes as large as they go; changes nothing without any.
    pub fn fit_selection(&mut self) {
        self.request = Some(ViewRequest::Selection);
    }

    /// Takes the keys that mean something to what is open in the roll, before the commands of the
    /// window see them.
    pub fn take_keys(&mut self, ctx: &egui::Context) {
        self.flags.take_keys(ctx);
    }

    /// Whether something is being dragged: until it is let go, nothing else should be done to the
    /// piece.
    pub fn is_dragging(&self) -> bool {
        let has_gesture = self.gesture.as_ref().is_some_and(|gesture| !gesture.is_of_wheel());
        has_gesture || self.ruler_drag.is_some() || self.lanes.is_busy() || self.flags.is_busy()
    }

    /// Ends what the wheel has done so far, before something else is done to the piece.
    pub fn finish_wheel(&mut self, selection: &Selection) -> Option<Change> {
        let gesture = self.gesture.take_if(|gesture| gesture.is_of_wheel())?;
        let change = gesture.change(self.index.as_ref()?.score(), selection);
        self.ended = Some(gesture);
        change
    }

    /// Shows a take from its start, with all its pitches: for one just chosen or just finished.
    pub fn show_take(&mut self) {
        self.request = Some(ViewRequest::Take);
        self.looked_away = false;
    }

    /// Spreads or narrows time around the middle of the view.
    pub fn zoom(&mut self, factor: f32) {
        self.viewport.zoom_time(factor, self.viewport.rect().center().x);
    }

    /// The part of the piece that is seen, and where: its rectangle is that of the notes.
    pub fn viewport(&self) -> &Viewport {
        &self.viewport
    }

    /// Fills the space there is, and says what the user did.
    pub fn ui(&mut self, ui: &mut Ui, view: RollView<'_>) -> RollResponse {
        let regions = Regions::split(ui.available_rect_before_wrap(), &self.options);
        let id = ui.scope_id().with("piano roll");
        ui.allocate_rect(regions.whole, Sense::hover());
        let mut out = RollResponse::default();
        if regions.canvas.width() < 1.0 || regions.canvas.height() < 1.0 {
            self.let_go(&mut out);
            return out;
        }
        let shown = Arc::clone(view.streaming.unwrap_or(view.score));
        if view.streaming.is_some() {
            self.step_behind_take();
        }
        let request = self.request;
        let kind = if view.streaming.is_some() { Shown::Take } else { Shown::Score };
        let index = self.index_of(&shown, kind);
        if view.streaming.is_none() {
            self.return_from_take(request);
        }
        self.arrange(&regions, &view, &index);
        self.follow_take(view.playing, &index);
        let playhead = shown.tempo_map.tick_from_secs(view.playhead_secs);
        let selection = view.selection.clone();
        let mut frame = RollFrame { index, view, selection, regions, playhead, id, n_settled: 0 };

        // What was being done before is over when something else is begun, and done before it.
        self.wheel(ui, &frame, &mut out);
        self.velocity_head(ui, &frame, &mut out);
        frame.settle(&out);
        self.follow(ui, &frame);
        self.flags.take_keys(ui.ctx());
        self.ruler_ui(ui, &frame, &mut out);
        self.chords_ui(ui, &frame, &mut out);
        self.lanes_ui(ui, &frame, &mut out);
        let held_key = self.keyboard_ui(ui, &frame, &mut out);
        let hovered = self.canvas_ui(ui, &mut frame, &mut out);
        self.paint(ui, &frame, held_key, hovered.as_ref(), &mut out);
        self.ended = None;
        self.lane_grips(ui, &frame);
        self.flags_ui(ui, &frame, &mut out);
        self.minimap_ui(ui, &frame);
        if let Some(canvas) = &out.canvas {
            self.tell_screen_reader(ui, &frame, canvas);
        }
        if !out.edits.is_empty() || out.selection.is_some() {
            ui.ctx().request_repaint();
        }
        out
    }

    /// Without room for anything nothing can be held either.
    fn let_go(&mut self, out: &mut RollResponse) {
        out.key_touches.extend(self.held_key.take().map(|_| KeyTouch::Up));
        out.ends_scrub = self.ruler_drag.take().is_some_and(RulerDrag::is_scrub);
        self.ended = None;
        self.drop_what_is_held();
    }

    /// What is known of the score shown; looked through anew only when it is another.
    fn index_of(&mut self, score: &Arc<Score>, shown: Shown) -> Arc<ScoreIndex> {
        if let Some(index) = self.index.as_ref().filter(|index| index.is_of(score)) {
            return Arc::clone(index);
        }
        let index = Arc::new(ScoreIndex::new(score));
        let before = self.index.take();
        let ticks_per_quarter = |index: &ScoreIndex| index.score().tempo_map.ticks_per_quarter();
        let was = before.as_deref().map(ticks_per_quarter);
        match before {
            Some(before) if shown == Shown::Score && self.shown == Shown::Score => {
                self.carry_over(before.score(), score);
            }
            _ => self.drop_what_is_held(),
        }
        self.shown = shown;
        if was != Some(ticks_per_quarter(&index)) {
            self.viewport = Viewport::new(ticks_per_quarter(&index).get());
            self.request = self.request.or(Some(ViewRequest::Start));
        }
        self.index = Some(Arc::clone(&index));
        index
    }

    /// What a hand is doing goes on in a score that something else has changed meanwhile, as long
    /// as what it holds is still there.
    fn carry_over(&mut self, before: &Score, after: &Score) {
        self.press = self.press.take().and_then(|press| press.carried_over(after));
        let gesture = self.gesture.take().filter(|_| self.press.is_some());
        self.gesture = gesture.and_then(|gesture| gesture.carried_over(after));
        self.lanes.carry_over(before, after);
        self.flags.carry_over(after);
    }

    fn drop_what_is_held(&mut self) {
        self.gesture = None;
        self.press = None;
        self.lanes.reset();
        self.flags.reset();
        // The playhead is dragged through a take that grows, too.
        self.ruler_drag = self.ruler_drag.filter(|drag| drag.is_seek());
    }

    fn arrange(&mut self, regions: &Regions, view: &RollView<'_>, index: &ScoreIndex) {
        self.viewport.place(regions.canvas);
        self.viewport.set_content(f64::from(index.end().0), index.rows());
        self.viewport.unfold(self.unfolded(index));
        let pitches = index.pitches().unwrap_or(48..=84);
        match self.request.take() {
            None => {}
            Some(ViewRequest::All) => self.viewport.fit((0, index.end().0), pitches),
            Some(ViewRequest::Look(look)) => self.viewport.look_as(&look),
            Some(ViewRequest::Selection) => {
                if let Some(extent) = Extent::of(view.selection.notes(index.score())) {
                    let pitches = extent.lowest.number()..=extent.highest.number();
                    self.viewport.fit((extent.start.0, extent.end.0), pitches);
                }
            }
            Some(ViewRequest::Start) => self.viewport.show_start(pitches),
            Some(ViewRequest::Take) => {
                self.viewport.fit_pitches(pitches);
                // What plays is followed where it is.
                if !view.playing {
                    self.viewport.set_left(0.0);
                }
            }
        }
    }

    /// The pitches that have a row, a bit for each.
    fn unfolded(&self, index: &ScoreIndex) -> u128 {
        let of_scale = |contains: &dyn Fn(Pitch) -> bool| {
            let pitches = (0..=127).filter_map(Pitch::new).filter(|pitch| contains(*pitch));
            pitches.fold(0, |all, pitch| all | 1u128 << pitch.number())
        };
        match (self.options.fold, self.marks.key) {
            (Fold::AllPitches, _) | (Fold::Scale, None) => u128::MAX,
            (Fold::Scale, Some(key)) => of_scale(&|pitch| key.contains(pitch)) | index.used(),
            (Fold::UsedPitches, _) => index.used(),
        }
    }

    /// Keeps how the score is looked at while a take is shown instead.
    fn step_behind_take(&mut self) {
        let viewport = self.viewport.clone();
        self.behind_take.get_or_insert(BehindTake { viewport, end: Tick::ZERO });
    }

    /// Looks at the score again as one did before the take.
    fn return_from_take(&mut self, request: Option<ViewRequest>) {
        if let Some(behind) = self.behind_take.take() {
            self.viewport = behind.viewport;
            // What was asked for still counts, not what the change of scores brought.
            self.request = request;
        }
    }

    /// Shows a take from its start, and goes along while it is being written.
    fn follow_take(&mut self, playing: bool, index: &ScoreIndex) {
        let Some(behind) = &mut self.behind_take else { return };
        let (is_first, has_grown) = (behind.end == Tick::ZERO, index.end() > behind.end);
        behind.end = index.end();
        let (Some(last), Some(pitches)) = (index.score().notes().last(), index.pitches()) else {
            return;
        };
        if is_first {
            self.viewport.set_left(0.0);
            self.viewport.fit_pitches(pitches);
        } else if has_grown && !self.looked_away {
            let seen = self.viewport.visible_pitches();
            if !seen.contains(pitches.start()) || !seen.contains(pitches.end()) {
                self.viewport.fit_pitches(pitches);
            }
            if !playing {
                self.viewport.reveal(f64::from(index.end().0), last.pitch.number());
            }
        }
    }

    /// The step that notes snap to at a tick.
    fn step_at(&self, index: &ScoreIndex, tick: Tick) -> GridStep {
        let ticks_per_quarter = index.score().tempo_map.ticks_per_quarter();
        let min_ticks = MIN_GRID * self.viewport.ticks_per_point();
        self.grid.step(ticks_per_quarter, index.bars().at(tick), min_ticks)
    }

    /// The scale that notes are written and moved in, if the user wants that.
    fn snap_scale(&self, is_free: bool) -> Option<KeyScale> {
        self.marks.key.filter(|_| self.options.snaps_to_scale && !is_free)
    }

    fn surroundings<'a>(&self, ui: &Ui, index: &'a ScoreIndex) -> Surroundings<'a> {
        let is_free = ui.input(|input| input.modifiers.alt);
        let step = self.step_at(index, Tick(self.viewport.ticks().0));
        Surroundings { index, snap: (!is_free).then_some(step), scale: self.snap_scale(is_free) }
    }
}
