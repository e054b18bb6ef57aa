//! One frame of the window: which panel stands where.

use egui::{CentralPanel, Frame, Margin, Panel, Rect, Ui, pos2};

use super::App;
use crate::editor::Change;
use crate::music::Note;
use crate::ui::action::{Actions, AppAction, DocumentAction, SoundAction};
use crate::ui::command::Command;
use crate::ui::piano_roll::{LoopChange, RollEdit, RollMarks, RollView, context_menu};
use crate::ui::state::Shown;
use crate::ui::theme::{HALF_SPACE, ROW, SPACE};
use crate::ui::{
    compose_panel, curves, history_panel, library_panel, menu, parts_panel, questions, roll_header,
    roll_toolbar, status_bar, training_panel, transport,
};

/// The widths of the panels at the sides and the height of the curves, in points.
const SIDE_WIDTH: f32 = SPACE * 37.0;
const MIN_SIDE_WIDTH: f32 = SPACE * 34.0;
const MAX_SIDE_WIDTH: f32 = SPACE * 60.0;
const DOCUMENT_WIDTH: f32 = SPACE * 31.0;
const CURVES_HEIGHT: f32 = SPACE * 30.0;
const NO_CURVES_HEIGHT: f32 = SPACE * 9.0;
const MIN_CURVES_HEIGHT: f32 = SPACE * 16.0;
const MAX_CURVES_HEIGHT: f32 = SPACE * 80.0;
/// From this width on, in points, there is room for the library beside the curves.
const THREE_COLUMNS: f32 = SPACE * 116.0;

impl App {
    /// The commands whose keys were pressed, and what was dropped on the window.
    pub(super) fn keys(&mut self, ctx: &egui::Context) -> Actions {
        let mut actions = Actions::new();
        if self.is_modal_open() {
            return actions;
        }
        self.clipboard_events(ctx, &mut actions);
        self.roll.take_keys(ctx);
        actions.extend(Command::pressed(ctx).into_iter().map(AppAction::Run));
        if self.roll.is_dragging() {
            actions.retain(|action| !interrupts_a_drag(action));
        }
        let dropped: Vec<_> = ctx.input(|input| {
            input.raw.dropped_files.iter().map(|file| file.path().to_owned()).collect()
        });
        if !dropped.is_empty() {
            actions.push(AppAction::Dropped(dropped));
        }
        actions
    }

    /// What the wheel has done is a step of its own, before anything else is done to the piece:
    /// also when both come in the same frame.
    pub(super) fn finish_wheel(&mut self, actions: &mut Actions) {
        if actions.iter().any(interrupts_a_drag) {
            let change = self.roll.finish_wheel(&self.state.document.selection);
            let change = change.map(DocumentAction::Change).map(AppAction::Document);
            actions.splice(0..0, change);
        }
    }

    fn is_modal_open(&self) -> bool {
        let state = &self.state;
        self.dialogs.is_open()
            || self.palette.is_open()
            || self.info.is_some()
            || self.edit_dialog.is_some()
            || state.alert.is_some()
            || state.question.is_some()
    }

    pub(super) fn draw(&mut self, ui: &mut Ui, actions: &mut Actions) {
        let bar = panel_frame(ui, HALF_SPACE);
        Panel::top("menu").frame(bar).show(ui, |ui| menu::ui(ui, &self.state, actions));
        Panel::top("transport").frame(bar).show(ui, |ui| {
            transport::ui(ui, &self.theme, &self.state, actions);
        });
        Panel::bottom("status").frame(bar).show(ui, |ui| {
            status_bar::ui(ui, &self.state, self.standing_line(), actions);
        });
        self.compose_side(ui, actions);
        self.document_side(ui, actions);
        // The settings have the whole height where the curves are wide enough below the roll alone.
        if ui.available_width() >= THREE_COLUMNS {
            self.library_side(ui, actions);
            self.curves_panel(ui, actions);
        } else {
            self.curves_panel(ui, actions);
            self.library_side(ui, actions);
        }
        CentralPanel::default().frame(Frame::new().fill(self.theme.roll.background)).show(
            ui,
            |ui| {
                let whole = ui.max_rect();
                self.roll_ui(ui, actions);
                // Messages lie over the notes: the lanes and the map below them are for pressing.
                let notes = self.roll.viewport().rect().intersect(whole);
                let place = if notes.is_positive() { notes } else { whole };
                self.messages(ui, place, actions);
            },
        );
        self.overlays(ui, actions);
    }

    fn library_side(&mut self, ui: &mut Ui, actions: &mut Actions) {
        let mut is_open = self.state.preferences.shows_library;
        Panel::left("library")
            .frame(panel_frame(ui, SPACE))
            .default_size(SIDE_WIDTH)
            .size_range(MIN_SIDE_WIDTH..=MAX_SIDE_WIDTH)
            .show_collapsible(ui, &mut is_open, |ui| {
                // Train and Stop follow the settings, and stay in sight however far those go.
                let foot_id = ui.scope_id().with("height of the foot");
                let foot = ui.data(|data| data.get_temp::<f32>(foot_id)).unwrap_or(ROW * 2.0);
                let height = (ui.available_height() - foot).max(ROW);
                let settings = egui::ScrollArea::vertical().auto_shrink([false, true]);
                settings.max_height(height).show(ui, |ui| {
                    library_panel::ui(ui, &self.theme, &self.state, actions);
                    ui.add_space(SPACE);
                    training_panel::ui(ui, &mut self.state, actions);
                });
                let shown = ui.scope(|ui| {
                    ui.add_space(SPACE);
                    training_panel::foot_ui(ui, &self.theme, &self.state, actions);
                });
                let height = shown.response.rect.height() + SPACE;
                if height != foot {
                    ui.data_mut(|data| data.insert_temp(foot_id, height));
                    ui.ctx().request_repaint();
                }
            });
        self.state.preferences.shows_library = is_open;
    }

    fn compose_side(&mut self, ui: &mut Ui, actions: &mut Actions) {
        let mut is_open = self.state.preferences.shows_compose;
        Panel::right("compose")
            .frame(panel_frame(ui, SPACE))
            .default_size(SIDE_WIDTH)
            .size_range(MIN_SIDE_WIDTH..=MAX_SIDE_WIDTH)
            .show_collapsible(ui, &mut is_open, |ui| {
                compose_panel::ui(ui, &self.theme, &mut self.state, actions);
            });
        self.state.preferences.shows_compose = is_open;
    }

    /// Parts and history share one panel.
    fn document_side(&mut self, ui: &mut Ui, actions: &mut Actions) {
        let preferences = &self.state.preferences;
        let (parts, history) = (preferences.shows_parts, preferences.shows_history);
        if !parts {
            // What is no longer seen isn't being written.
            self.state.document.written_names.clear();
        }
        if !parts && !history {
            return;
        }
        let panel = Panel::right("document").frame(panel_frame(ui, SPACE));
        let panel = panel.default_size(DOCUMENT_WIDTH).size_range(DOCUMENT_WIDTH..=MAX_SIDE_WIDTH);
        panel.show(ui, |ui| {
            if parts {
                // Many parts leave half of the height to the history.
                let height = ui.available_height() * if history { 0.5 } else { 1.0 };
                parts_panel::ui(ui, &self.theme, &mut self.state, height, actions);
                ui.add_space(SPACE);
            }
            if history {
                history_panel::ui(ui, &self.state, actions);
            }
        });
    }

    fn curves_panel(&mut self, ui: &mut Ui, actions: &mut Actions) {
        let mut is_open = self.state.preferences.shows_curves;
        // Before there is a curve the roll has the room; a height the user chose is for curves.
        let panel = match curves::has_something_to_draw(&self.state) {
            true => Panel::bottom("curves")
                .resizable(true)
                .default_size(curves_height(ui.ctx().content_rect().height()))
                .size_range(MIN_CURVES_HEIGHT..=MAX_CURVES_HEIGHT),
            false => Panel::bottom("no curves yet").exact_size(NO_CURVES_HEIGHT),
        };
        let shown = panel.frame(panel_frame(ui, SPACE)).show_collapsible(ui, &mut is_open, |ui| {
            curves::ui(ui, &self.theme, &mut self.state, actions);
        });
        self.state.preferences.shows_curves = is_open;
        if let Some(shown) = shown {
            self.picture.see(ui.ctx(), shown.response.rect);
        }
    }

    fn roll_ui(&mut self, ui: &mut Ui, actions: &mut Actions) {
        roll_header::ui(ui, &self.theme, &self.state, actions);
        roll_toolbar::ui(ui, &self.theme, &self.state, &mut self.roll, actions);
        let streaming = (self.state.shown != Shown::Score).then(|| self.state.shown_score());
        let marks = self.roll_marks();
        let view = RollView {
            score: self.state.document.history.score(),
            streaming,
            selection: &self.state.document.selection,
            playhead_secs: self.state.sound.playhead_secs,
            playing: self.state.sound.is_playing,
            theme: &self.theme,
        };
        self.roll.marks = marks;
        let mut response = self.roll.ui(ui, view);
        self.state.preferences.roll = self.roll.options;
        if response.status != self.state.roll_status {
            self.state.roll_status = response.status.take();
            // The line that shows it has been drawn already.
            ui.ctx().request_repaint();
        }
        context_menu::ui(&response, &self.state, actions);
        let edits =
            response.edits.into_iter().map(|RollEdit { edit, selection }| match selection {
                Some(selection) => DocumentAction::Change(Change { edit, selection }),
                None => DocumentAction::Edit(edit),
            });
        let document = edits.chain(response.selection.map(DocumentAction::Select));
        actions.extend(document.map(AppAction::Document));
        if response.is_refused {
            self.refuse_editing();
        }
        let sound = |action| AppAction::Sound(action);
        actions.extend(response.seek_secs.map(SoundAction::Seek).map(sound));
        actions.extend(response.scrub_secs.map(SoundAction::Scrub).map(sound));
        actions.extend(response.ends_scrub.then_some(SoundAction::EndScrub).map(sound));
        let loop_range = response.loop_change.map(|change| match change {
            LoopChange::Set(from, to) => Some((from, to)),
            LoopChange::Remove => None,
        });
        actions.extend(loop_range.map(SoundAction::Loop).map(sound));
        actions.extend(response.key_touches.into_iter().map(SoundAction::Key).map(sound));
        if !response.audition.is_empty() {
            actions.push(sound(SoundAction::Audition(response.audition)));
        }
    }

    fn roll_marks(&self) -> RollMarks {
        let (state, document) = (&self.state, &self.state.document);
        let is_score = state.shown == Shown::Score;
        RollMarks {
            loop_range: document.loop_range.filter(|_| is_score),
            is_looping: state.sound.is_looping,
            sounding: self.player.sounding_keys(),
            key: document.key().filter(|_| is_score).or(state.estimated_key()),
        }
    }

    /// Where in the roll one works: at the pointer and at the chosen notes. Only told when messages
    /// are about to look for a place.
    fn working_places(&self, ctx: &egui::Context) -> Vec<Rect> {
        let notices = &self.state.notices;
        if notices.shown.is_empty() || notices.corner.is_some() {
            return Vec::new();
        }
        let viewport = self.roll.viewport();
        let rect_of = |note: &Note| {
            let (start, end) = (f64::from(note.start.0), f64::from(note.end().0));
            let top = viewport.y_from_pitch(note.pitch.number());
            let (left, right) = (viewport.x_from_tick(start), viewport.x_from_tick(end));
            Rect::from_min_max(pos2(left, top), pos2(right, top + viewport.row_height()))
        };
        let document = &self.state.document;
        let chosen = document.selection.notes(document.history.score()).map(rect_of);
        let pointer = ctx.input(|input| input.pointer.hover_pos());
        chosen.chain(pointer.map(|pos| Rect::from_min_max(pos, pos))).collect()
    }

    fn messages(&mut self, ui: &mut Ui, notes: Rect, actions: &mut Actions) {
        let works_in = self.working_places(ui.ctx());
        let is_busy = |rect: Rect| works_in.iter().any(|place| place.intersects(rect));
        status_bar::notices_ui(ui, &self.theme, &mut self.state, notes, is_busy, actions);
    }

    /// What lies over everything: questions, dialogs, the palette.
    fn overlays(&mut self, ui: &mut Ui, actions: &mut Actions) {
        let ctx = ui.ctx().clone();
        status_bar::drop_hint_ui(&ctx, &self.theme);
        questions::alert_ui(&ctx, &mut self.state);
        questions::question_ui(&ctx, &self.state, actions);
        self.dialogs.ui(&ctx, actions);
        self.palette.ui(&ctx, &self.state, actions);
        self.edit_dialog_ui(&ctx, actions);
        if let Some(info) = self.info
            && info.ui(&ctx, &self.state)
        {
            self.info = None;
        }
        if self.state.export.is_some() && questions::export_ui(&ctx, &self.theme, &self.state) {
            self.cancel_export();
        }
    }
}

/// Whether an action asked for by a key would change the notes, or what is chosen or shown of them,
/// under the hand that is dragging some.
fn interrupts_a_drag(action: &AppAction) -> bool {
    match action {
        AppAction::Document(_) => true,
        AppAction::Run(command) => !command.leaves_the_notes(),
        _ => false,
    }
}

/// How high the curves are in a window of some height, until somebody changes it.
fn curves_height(window: f32) -> f32 {
    CURVES_HEIGHT.min(window / 3.0).max(window / 4.0)
}

fn panel_frame(ui: &Ui, margin: f32) -> Frame {
    let margin = Margin::symmetric(SPACE as i8, margin as i8);
    Frame::new().fill(ui.visuals().panel_fill).inner_margin(margin)
}

#[cfg(test)]
mod tests {
    use egui::accesskit::Role;
    use egui::{Align2, vec2};
    use egui_kittest::kittest::Queryable as _;

    use super::super::tests::Window;
    use crate::music::{Part, Score, TempoMap};

    #[test]
    fn messages_come_where_one_does_not_work_and_stay_there() {
        let mut window = Window::open();
        // Large enough that the corners lie apart.
        window.harness.set_size(vec2(1600.0, 900.0));
        window.harness.run_steps(3);
        window.app().state.notices.shown.clear();
        window.harness.run_steps(2);
        let notes = window.app().roll.viewport().rect();
        window.harness.hover_at(notes.right_bottom() - vec2(40.0, 40.0));
        window.harness.run_steps(2);
        window.app().state.notices.note("one");
        window.harness.run_steps(2);
        assert_eq!(window.app().state.notices.corner, Some(Align2::LEFT_BOTTOM));
        window.harness.hover_at(notes.center());
        window.app().state.notices.note("two");
        window.harness.run_steps(2);
        assert_eq!(window.app().state.notices.corner, Some(Align2::LEFT_BOTTOM));
    }

    #[test]
    fn only_the_buttons_of_a_message_take_clicks() {
        let mut window = Window::open();
        window.app().set_document(Score::default(), None);
        window.harness.set_size(vec2(1280.0, 720.0));
        window.harness.run_steps(3);
        window.app().state.notices.shown.clear();
        window.harness.run_steps(2);
        let words = "it stands over the notes";
        window.app().state.notices.error(words);
        window.harness.run_steps(3);
        let notes = window.app().roll.viewport().rect();
        let told = window.harness.get_all_by_label(words).map(|node| node.rect());
        let told: Vec<_> = told.filter(|rect| notes.contains_rect(*rect)).collect();
        let [message] = told.as_slice() else { panic!("{told:?}") };
        let n_notes =
            |window: &mut Window| window.app().state.document.history.score().notes().len();
        for _ in 0..2 {
            window.harness.hover_at(message.center());
            window.harness.drag_at(message.center());
            window.harness.drop_at(message.center());
            window.harness.run_steps(1);
        }
        window.harness.run_steps(3);
        assert_eq!(n_notes(&mut window), 1, "it was clicked twice on empty space");
        assert_eq!(window.app().state.notices.shown.len(), 1);
        window.harness.get_by_label("Dismiss").click();
        window.harness.run_steps(3);
        assert!(window.app().state.notices.shown.is_empty());
        assert_eq!(n_notes(&mut window), 1);
    }

    #[test]
    fn many_parts_are_scrolled_to_and_leave_room_for_the_history() {
        let mut window = Window::open();
        let mut score = Score::piano(TempoMap::default(), Vec::new());
        score.parts = vec![Part::default(); 60];
        window.app().set_document(score, None);
        let preferences = &mut window.app().state.preferences;
        preferences.shows_parts = true;
        preferences.shows_history = true;
        window.harness.set_size(egui::vec2(1280.0, 720.0));
        window.harness.run_steps(3);
        let rect = |window: &Window, role, name: &str| {
            window.harness.get_by_role_and_label(role, name).rect()
        };
        let history = rect(&window, Role::Button, "As it was opened");
        assert!(history.bottom() < 720.0, "{history:?}");
        let last = "Mute Part 60";
        assert!(rect(&window, Role::Button, last).top() > history.top(), "it is out of sight");
        window.harness.get_by_role_and_label(Role::Button, last).focus();
        window.harness.run_steps(60);
        let seen = rect(&window, Role::Button, last);
        assert!(seen.bottom() < rect(&window, Role::Button, "As it was opened").top(), "{seen:?}");
    }
}
