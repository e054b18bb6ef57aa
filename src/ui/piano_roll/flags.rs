//! Tempos and meters as flags over the ruler: a click shows its numbers, to be changed or deleted,
//! dragging moves it, a right-click sets another.

use egui::{
    Align2, Area, CornerRadius, CursorIcon, Event, Frame, Key, Modifiers, Order, Pos2, Rect,
    Response, Role, Sense, Ui, WidgetInfo, pos2, vec2,
};

use super::pointer::is_cancelled;
use super::{LoopChange, PianoRollEditor, RollFrame, RollResponse, paint, text};
use crate::editor::{MeterEdit, ScoreEdit, TempoEdit};
use crate::music::{Meter, MeterChange, Score, TempoChange, Tick};
use crate::ui::number_field::number_field;
use crate::ui::theme::{HALF_SPACE, SPACE, Theme};
use crate::ui::widgets;
use crate::ui::words::capitalized;

/// Quarter notes a minute that can be written. Files hold odder ones, which stay as they are until
/// another number is written.
const TEMPOS: std::ops::RangeInclusive<f64> = 4.0..=6000.0;
/// Beats of a bar that can be written.
const BEATS: std::ops::RangeInclusive<u8> = 1..=u8::MAX;
/// How wide the fields for numbers are, in points.
const FIELD_WIDTH: f32 = SPACE * 7.0;
/// The denominators that can be chosen, as powers of two.
const DENOMINATORS: std::ops::RangeInclusive<u8> = 0..=Meter::MAX_DENOMINATOR_POWER;

/// Why what stands at the start can't be deleted.
const BEGINS_THE_PIECE: &str = "A piece begins with a tempo and a meter, which can be changed only";

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Flag {
    Tempo(TempoChange),
    Meter(MeterChange),
}

impl Flag {
    fn tick(self) -> Tick {
        match self {
            Self::Tempo(change) => change.tick,
            Self::Meter(change) => change.tick,
        }
    }

    fn at(self, tick: Tick) -> Self {
        match self {
            Self::Tempo(change) => Self::Tempo(TempoChange { tick, ..change }),
            Self::Meter(change) => Self::Meter(MeterChange { tick, ..change }),
        }
    }

    fn words(self) -> String {
        match self {
            Self::Tempo(change) => {
                let tempo = (change.quarters_per_minute() * 10.0).round() / 10.0;
                format!("{tempo} bpm")
            }
            Self::Meter(MeterChange { meter, .. }) => {
                format!("{}/{}", meter.numerator, 1u32 << meter.denominator_power.min(31))
            }
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Tempo(_) => "tempo",
            Self::Meter(_) => "meter",
        }
    }

    /// Whether a score has one of the kind at its tick.
    fn is_in(self, score: &Score) -> bool {
        let tick = self.tick();
        match self {
            _ if tick == Tick::ZERO => true,
            Self::Tempo(_) => score.tempo_map.changes().iter().any(|it| it.tick == tick),
            Self::Meter(_) => score.meters.iter().any(|it| it.tick == tick),
        }
    }

    fn inserted(self) -> ScoreEdit {
        match self {
            Self::Tempo(change) => ScoreEdit::Tempo(TempoEdit::Insert(change)),
            Self::Meter(change) => ScoreEdit::Meter(MeterEdit::Insert(change)),
        }
    }

    fn set(self) -> ScoreEdit {
        match self {
            Self::Tempo(change) => ScoreEdit::Tempo(TempoEdit::Set(change)),
            Self::Meter(change) => ScoreEdit::Meter(MeterEdit::Set(change)),
        }
    }

    fn moved(self, to: Tick) -> ScoreEdit {
        let from = self.tick();
        match self {
            Self::Tempo(_) => ScoreEdit::Tempo(TempoEdit::Move { from, to }),
            Self::Meter(_) => ScoreEdit::Meter(MeterEdit::Move { from, to }),
        }
    }

    /// `None` for those that begin the piece: there is always a tempo and a meter.
    fn deleted(self) -> Option<ScoreEdit> {
        let tick = self.tick();
        (tick > Tick::ZERO).then_some(match self {
            Self::Tempo(_) => ScoreEdit::Tempo(TempoEdit::Delete(tick)),
            Self::Meter(_) => ScoreEdit::Meter(MeterEdit::Delete(tick)),
        })
    }
}

/// What is being done to the flags.
#[derive(Default)]
pub struct Flags {
    /// A flag that is dragged, and where to.
    drag: Option<(Flag, Tick)>,
    /// The one whose numbers are shown.
    open: Option<OpenFlag>,
    /// The one under the pointer.
    hovered: Option<Flag>,
    /// Where the menu of the ruler was asked for.
    menu_tick: Tick,
    /// Delete was pressed, for the open one or else for the one under the pointer.
    deletes: bool,
}

#[derive(Clone, Copy)]
struct OpenFlag {
    flag: Flag,
    pos: Pos2,
    /// Not drawn yet: the click that opened it isn't one beside it.
    is_fresh: bool,
    /// It is in the score, not only about to be set.
    is_set: bool,
    /// It was to be deleted and can't be.
    is_refused: bool,
    /// Something has been written: Delete is about that now.
    is_written: bool,
}

impl OpenFlag {
    fn new(flag: Flag, pos: Pos2, score: &Score) -> Self {
        let is_set = flag.is_in(score);
        Self { flag, pos, is_fresh: true, is_set, is_refused: false, is_written: false }
    }

    fn edit(&self) -> ScoreEdit {
        if self.is_set { self.flag.set() } else { self.flag.inserted() }
    }

    /// The edit that deletes it, or why it can't be.
    fn deleted(&self) -> Result<ScoreEdit, &'static str> {
        match self.flag.deleted() {
            None => Err(BEGINS_THE_PIECE),
            Some(_) if !self.is_set => Err("It isn't in the piece yet"),
            Some(edit) => Ok(edit),
        }
    }
}

/// A flag where it stands on the screen.
struct Placed {
    flag: Flag,
    rect: Rect,
}

impl Flags {
    /// Takes Delete while a flag is open or pointed at, before the commands of the window see it.
    pub fn take_keys(&mut self, ctx: &egui::Context) {
        let delete = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if !ctx.text_edit_focused() {
            if self.open.is_some() || self.hovered.is_some() {
                self.deletes |= delete(Key::Delete) || delete(Key::Backspace);
            }
        } else if let Some(open) = &mut self.open {
            // Its number begins selected as a whole: until something is written Delete means the
            // flag.
            let writes = |event: &Event| match event {
                Event::Text(_) | Event::Paste(_) | Event::Cut => true,
                Event::Key { key, pressed, .. } => *pressed && *key != Key::Delete,
                Event::PointerButton { pressed, .. } => *pressed,
                _ => false,
            };
            open.is_written |= ctx.input(|input| input.events.iter().any(writes));
            self.deletes |= !open.is_written && !open.is_fresh && delete(Key::Delete);
        }
    }

    /// Goes on in a score in which something else has changed, with what is still there.
    pub fn carry_over(&mut self, after: &Score) {
        self.drag = self.drag.filter(|(flag, _)| flag.is_in(after));
        self.open = self.open.filter(|open| !open.is_set || open.flag.is_in(after));
        self.hovered = None;
        self.deletes = false;
    }

    /// Forgets what was being done: the score is another.
    pub fn reset(&mut self) {
        *self = Self { menu_tick: self.menu_tick, ..Self::default() };
    }

    /// Whether the numbers of one are shown.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a flag is being dragged.
    pub fn is_busy(&self) -> bool {
        self.drag.is_some()
    }
}

impl PianoRollEditor {
    pub(super) fn flags_ui(&mut self, ui: &Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let rect = frame.regions.flags;
        if !rect.is_positive() {
            // What isn't seen must not take the keys.
            self.flags.reset();
            return;
        }
        let painter = ui.painter_at(rect);
        let theme = frame.view.theme;
        painter.rect_filled(rect, CornerRadius::ZERO, theme.roll.ruler);
        let back = ui.interact(rect, frame.id.with("flags"), Sense::CLICK);
        self.time_menu(&back, ui, frame, out);
        self.delete_hovered(frame, out);
        self.flags.hovered = None;
        for Placed { flag, rect } in self.placed(ui, frame) {
            let id = frame.id.with(("flag", flag.kind(), flag.tick().0));
            let response = ui.interact(rect, id, Sense::click_and_drag());
            let words = self.dragged(flag).words();
            let place = text::place(flag.tick(), &frame.index);
            let name = format!("{} {words} at {place}", capitalized(flag.kind()));
            response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
            if frame.is_editable() {
                self.touch_flag(ui, frame, &response, flag, out);
            }
            paint_flag(&painter, rect, &words, &response, theme);
            response.on_hover_text("Click to change it, Delete to delete it, drag to move it");
        }
        self.open_flag_ui(ui, frame, out);
    }

    /// Delete over a flag; one that can't be deleted opens and says why.
    fn delete_hovered(&mut self, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let Some(flag) = self.flags.hovered.filter(|_| self.flags.open.is_none()) else { return };
        if !std::mem::take(&mut self.flags.deletes) || !frame.is_editable() {
            return;
        }
        match flag.deleted() {
            Some(edit) => out.edit(edit),
            None => {
                let pos = pos2(self.viewport.x_of(flag.tick()), frame.regions.flags.bottom());
                let open = OpenFlag::new(flag, pos, frame.index.score());
                self.flags.open = Some(OpenFlag { is_refused: true, ..open });
            }
        }
    }

    /// The flags in view that there is room for. Those that would lie over another are left out
    /// until one looks closer.
    fn placed(&self, ui: &Ui, frame: &RollFrame<'_>) -> Vec<Placed> {
        let (rect, score) = (frame.regions.flags, frame.index.score());
        let (first, last) = self.viewport.ticks();
        let first_meter = MeterChange { tick: Tick::ZERO, meter: score.meter_at(Tick::ZERO) };
        let meters = score.meters.iter().copied().filter(|change| change.tick > Tick::ZERO);
        let meters = std::iter::once(first_meter).chain(meters).map(Flag::Meter);
        let tempos = score.tempo_map.changes();
        let from = tempos.partition_point(|change| change.tick.0 < first.saturating_sub(1));
        let to = tempos.partition_point(|change| change.tick.0 <= last);
        let tempos = tempos[from..to].iter().copied().map(Flag::Tempo);
        let mut flags: Vec<Flag> =
            meters.filter(|flag| (first..=last).contains(&flag.tick().0)).chain(tempos).collect();
        // The one that is dragged is there until it is let go, wherever the view has gone.
        if let Some((dragged, _)) = self.flags.drag
            && !flags.contains(&dragged)
        {
            flags.push(dragged);
        }
        flags.sort_by_key(|flag| (flag.tick(), matches!(flag, Flag::Tempo(_))));
        let mut placed: Vec<Placed> = Vec::new();
        let mut free = f32::NEG_INFINITY;
        for flag in flags {
            let tick = self.dragged(flag).tick();
            let x = self.viewport.x_of(tick).max(rect.left());
            let is_beside = placed.last().is_some_and(|last| last.flag.tick() == flag.tick());
            let is_dragged = self.flags.drag.is_some_and(|(dragged, _)| dragged == flag);
            let x = if is_beside && !is_dragged { x.max(free) } else { x };
            if x < free && !is_dragged {
                continue;
            }
            let width = flag_width(ui, &flag.words());
            free = x + width + 2.0;
            let min = pos2(x, rect.top());
            placed
                .push(Placed { flag, rect: Rect::from_min_size(min, vec2(width, rect.height())) });
        }
        placed
    }

    /// The flag as the drag would leave it.
    fn dragged(&self, flag: Flag) -> Flag {
        match self.flags.drag {
            Some((dragged, to)) if dragged == flag => flag.at(to),
            _ => flag,
        }
    }

    fn touch_flag(
        &mut self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        response: &Response,
        flag: Flag,
        out: &mut RollResponse,
    ) {
        if response.hovered() {
            ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
            self.flags.hovered = Some(flag);
        }
        let score = frame.index.score();
        let pos = response.rect.left_bottom();
        if response.clicked() {
            self.flags.open = Some(OpenFlag::new(flag, pos, score));
        }
        response.context_menu(|ui| {
            if ui.button(format!("Change {}…", flag.kind())).clicked() {
                self.flags.open = Some(OpenFlag::new(flag, pos, score));
                ui.close();
            }
            let can_delete = flag.deleted();
            let delete = egui::Button::new(format!("Delete {} change", flag.kind()));
            let delete = ui.add_enabled(can_delete.is_some(), delete);
            let delete = delete.on_disabled_hover_text(BEGINS_THE_PIECE);
            if delete.clicked() {
                can_delete.into_iter().for_each(|edit| out.edit(edit));
                ui.close();
            }
        });
        // Those that begin the piece stay there.
        if response.drag_started() && flag.tick() > Tick::ZERO {
            self.flags.drag = Some((flag, flag.tick()));
        }
        let Some((dragged, to)) = self.flags.drag.filter(|(dragged, _)| *dragged == flag) else {
            return;
        };
        if is_cancelled(ui) {
            self.flags.drag = None;
            return;
        }
        let to = match response.interact_pointer_pos() {
            Some(pos) => self.flag_rest(ui, frame, dragged, pos.x),
            None => to,
        };
        self.flags.drag = Some((dragged, to));
        if response.drag_stopped() {
            self.flags.drag = None;
            if to != dragged.tick() && to > Tick::ZERO {
                out.edit(dragged.moved(to));
            }
        }
    }

    /// Where a dragged flag comes to rest: a meter on a bar line, a tempo on the grid.
    fn flag_rest(&self, ui: &Ui, frame: &RollFrame<'_>, flag: Flag, x: f32) -> Tick {
        match flag {
            Flag::Tempo(_) => self.snapped_x(ui, frame, x).max(Tick(1)),
            Flag::Meter(change) => {
                MeterEdit::rest(frame.index.score(), change.tick, self.free_x(x))
            }
        }
    }

    /// A right-click on the ruler: what can be set there.
    pub(super) fn time_menu(
        &mut self,
        response: &Response,
        ui: &Ui,
        frame: &RollFrame<'_>,
        out: &mut RollResponse,
    ) {
        if response.secondary_clicked()
            && let Some(pos) = response.interact_pointer_pos()
        {
            self.flags.menu_tick = self.snapped_x(ui, frame, pos.x);
        }
        if !frame.is_editable() {
            return;
        }
        let tick = self.flags.menu_tick;
        response.context_menu(|ui| {
            let score = frame.index.score();
            let tempo = Flag::Tempo(score.tempo_map.tempo_at(tick)).at(tick);
            let meter = Flag::Meter(MeterChange { tick, meter: score.meter_at(tick) });
            for (words, flag) in
                [("Insert tempo change…", tempo), ("Insert time signature…", meter)]
            {
                if ui.button(words).clicked() {
                    let x = self.viewport.x_of(tick);
                    let pos = pos2(x, frame.regions.ruler.bottom());
                    self.flags.open = Some(OpenFlag::new(flag, pos, score));
                    ui.close();
                }
            }
            if self.marks.loop_range.is_some() && ui.button("Remove the loop").clicked() {
                out.loop_change = Some(LoopChange::Remove);
                ui.close();
            }
        });
    }

    /// The numbers of the open flag, in a small window under it.
    fn open_flag_ui(&mut self, ui: &Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let Some(mut open) = self.flags.open else { return };
        // What can't be deleted stays open and says why.
        let mut answer = std::mem::take(&mut self.flags.deletes).then_some(Answer::Delete);
        let mut is_refused = false;
        // Taken before the field ends by it: a number that is refused is written on.
        let enter =
            ui.input_mut(|input| !open.is_fresh && input.consume_key(Modifiers::NONE, Key::Enter));
        let area = Area::new(frame.id.with("open flag"))
            .order(Order::Foreground)
            .fixed_pos(open.pos + vec2(0.0, HALF_SPACE))
            .constrain(true)
            .show(ui.ctx(), |ui| {
                Frame::popup(ui.style()).show(ui, |ui| {
                    let (pressed, has_problem) = form_ui(ui, &mut open);
                    (answer, is_refused) = (pressed.or(answer), has_problem);
                });
            });
        let escape = ui.input(|input| input.key_pressed(Key::Escape));
        let is_elsewhere = area.response.clicked_elsewhere() && !open.is_fresh;
        answer = match answer {
            Some(Answer::Set) if is_refused => None,
            None if enter && !is_refused => Some(Answer::Set),
            None if escape || is_elsewhere => Some(Answer::Close),
            answer => answer,
        };
        open.is_fresh = false;
        self.flags.open = None;
        match answer {
            Some(Answer::Set) => out.edit(open.edit()),
            Some(Answer::Close) => {}
            Some(Answer::Delete) => match open.deleted() {
                Ok(edit) => out.edit(edit),
                Err(_) => self.flags.open = Some(OpenFlag { is_refused: true, ..open }),
            },
            None => self.flags.open = Some(open),
        }
    }
}

#[derive(Clone, Copy)]
enum Answer {
    Set,
    Delete,
    Close,
}

/// What was pressed, and whether the number that is written can't be taken.
fn form_ui(ui: &mut Ui, open: &mut OpenFlag) -> (Option<Answer>, bool) {
    let (mut answer, mut problem) = (None, None);
    ui.horizontal(|ui| {
        let field = match &mut open.flag {
            Flag::Tempo(change) => tempo_ui(ui, change, &mut problem),
            Flag::Meter(change) => meter_ui(ui, change, &mut problem),
        };
        if ui.button("Set").on_hover_text("Enter").clicked() {
            answer = Some(Answer::Set);
            if problem.is_some() {
                field.request_focus();
            }
        }
        let can_delete = open.deleted();
        let delete = ui.add_enabled(can_delete.is_ok(), egui::Button::new("Delete"));
        let delete = match can_delete {
            Err(why) => delete.on_disabled_hover_text(why),
            Ok(_) => delete,
        };
        if delete.clicked() {
            answer = Some(Answer::Delete);
        }
    });
    if let Some(words) = &problem {
        widgets::problem(ui, words);
    }
    if open.is_refused
        && let Err(why) = open.deleted()
    {
        ui.label(why);
    }
    (answer, problem.is_some())
}

fn tempo_ui(ui: &mut Ui, change: &mut TempoChange, problem: &mut Option<String>) -> Response {
    let mut tempo = (change.quarters_per_minute() * 100.0).round() / 100.0;
    let response = number_field(ui, &mut tempo, TEMPOS, FIELD_WIDTH, true, problem);
    response.widget_info(|| WidgetInfo::slider(true, tempo, "Tempo"));
    ui.label("bpm");
    if response.changed() && problem.is_none() {
        *change = TempoChange::from_quarters_per_minute(change.tick, tempo);
    }
    response
}

fn meter_ui(ui: &mut Ui, change: &mut MeterChange, problem: &mut Option<String>) -> Response {
    let meter = &mut change.meter;
    let response = number_field(ui, &mut meter.numerator, BEATS, FIELD_WIDTH, true, problem);
    let beats = f64::from(meter.numerator);
    response.widget_info(|| WidgetInfo::slider(true, beats, "Beats in a bar"));
    ui.label("/");
    for power in DENOMINATORS {
        ui.selectable_value(&mut meter.denominator_power, power, (1u32 << power).to_string());
    }
    response
}

fn flag_width(ui: &Ui, words: &str) -> f32 {
    let color = ui.visuals().text_color();
    let galley = ui.painter().layout_no_wrap(words.to_owned(), paint::small_font(), color);
    galley.size().x + SPACE
}

fn paint_flag(
    painter: &egui::Painter,
    rect: Rect,
    words: &str,
    response: &Response,
    theme: &Theme,
) {
    let fill = if response.hovered() { theme.button_hovered } else { theme.button };
    let pole = rect.with_max_x(rect.left() + 1.0);
    painter.rect_filled(rect.shrink2(vec2(0.0, 1.0)), CornerRadius::same(2), fill);
    painter.rect_filled(pole, CornerRadius::ZERO, theme.text_weak);
    let at = pos2(rect.left() + HALF_SPACE, rect.center().y);
    painter.text(at, Align2::LEFT_CENTER, words, paint::small_font(), theme.text);
    paint::paint_focus(painter, rect, response, theme);
}
