//! A number that is written or dragged in a dialog. It begins with its whole text selected, so that
//! what is written takes its place, and what can't be taken is refused in words.
//!
//! Until something is written the mouse turns the number: a drag to the right makes it larger, with
//! Shift finely. A click begins to write, and from then on the mouse chooses in the text.

use std::ops::RangeInclusive;

use egui::emath::Numeric;
use egui::text::CCursorRange;
use egui::{Align2, CursorIcon, Id, Response, Sense, TextEdit, Ui, Vec2, WidgetInfo};

/// What is being written, and the number that it stands for.
#[derive(Clone)]
struct Draft {
    text: String,
    value: f64,
    /// The pass it was drawn in last: one that was away since begins anew.
    pass: u64,
    /// The text was gone into: it is no handle to drag by any more.
    is_written: bool,
    /// The number that the mouse has come to, with what is too little to be shown of it.
    dragged: Option<f64>,
}

/// Draws the field. One that `begins` a dialog takes the keyboard when the dialog opens. While
/// the text is no number within `range`, `value` stays as it was and `problem` says why.
pub fn number_field<N: Numeric>(
    ui: &mut Ui,
    value: &mut N,
    range: RangeInclusive<N>,
    width: f32,
    begins: bool,
    problem: &mut Option<String>,
) -> Response {
    let id = ui.next_auto_id();
    let pass = ui.ctx().cumulative_pass_nr();
    let kept = ui.data(|data| data.get_temp::<Draft>(id)).filter(|kept| kept.pass + 1 >= pass);
    let is_new = kept.is_none();
    let kept = kept.filter(|kept| kept.value == value.to_f64());
    let mut draft = kept.unwrap_or_else(|| draft_of(*value, pass));
    let visuals = ui.visuals();
    // What can be turned looks like the numbers of the panels.
    let fill = match ui.memory(|memory| memory.has_focus(id)) {
        true => visuals.text_edit_bg_color(),
        false => visuals.widgets.inactive.weak_bg_fill,
    };
    let edit = TextEdit::singleline(&mut draft.text).id(id).desired_width(width);
    let edit = edit.background_color(fill).align(Align2::CENTER_CENTER);
    let mut response = ui.add(edit.min_size(Vec2::new(width, 0.0)));
    match read(&draft.text, &range) {
        Ok(written) if response.changed() => {
            *value = written;
            draft.value = written.to_f64();
            draft.is_written = true;
        }
        Ok(_) if !response.has_focus() => {
            draft = Draft { dragged: draft.dragged, ..draft_of(*value, pass) }
        }
        Ok(_) => {}
        Err(why) => *problem = Some(why),
    }
    let is_gone_into = !draft.is_written && drag(ui, &mut response, &mut draft, value, &range);
    let number = value.to_f64();
    response.widget_info(|| WidgetInfo::drag_value(true, number));
    // The pass that only measures a new window is not yet the one that is seen.
    if ui.is_sizing_pass() {
        return response;
    }
    let takes_keyboard = is_new && begins || is_gone_into;
    if takes_keyboard {
        response.request_focus();
    }
    let is_clicked = ui.input(|input| input.pointer.any_pressed());
    if takes_keyboard || response.gained_focus() && !is_clicked {
        let all = CCursorRange::select_all_str(&draft.text);
        select(ui, id, all);
    }
    ui.data_mut(|data| data.insert_temp(id, Draft { pass, ..draft }));
    response
}

/// Lets the mouse turn the number. Returns whether the text is gone into, or must be selected anew.
fn drag<N: Numeric>(
    ui: &Ui,
    response: &mut Response,
    draft: &mut Draft,
    value: &mut N,
    range: &RangeInclusive<N>,
) -> bool {
    // Not a second stop on the way of the Tab key.
    let handle = ui.interact(response.rect, response.id.with("drag"), Sense::CLICK | Sense::DRAG);
    let handle = handle.on_hover_and_drag_cursor(CursorIcon::ResizeHorizontal);
    if handle.clicked() {
        draft.is_written = true;
        return true;
    }
    if !handle.dragged() {
        draft.dragged = None;
        return handle.drag_stopped() && response.has_focus();
    }
    let is_fine = ui.input(|input| input.modifiers.shift);
    let from = draft.dragged.unwrap_or_else(|| value.to_f64());
    let (exact, shown) = turned(from, handle.drag_delta().x, is_fine, range);
    draft.dragged = Some(exact);
    if shown != value.to_f64() {
        *value = N::from_f64(shown);
        *draft = Draft { dragged: draft.dragged, ..draft_of(*value, draft.pass) };
        response.mark_changed();
    }
    false
}

/// Where so many points of a drag bring a number: exactly, and as it is shown. Large numbers go
/// faster than small ones.
fn turned<N: Numeric>(
    from: f64,
    points: f32,
    is_fine: bool,
    range: &RangeInclusive<N>,
) -> (f64, f64) {
    let (least, most) = (range.start().to_f64(), range.end().to_f64());
    let (slower, parts) = if is_fine && !N::INTEGRAL { (0.1, 10.0) } else { (1.0, 1.0) };
    let per_point = (from.abs() * 0.005).max(0.1) * slower;
    let exact = (from + f64::from(points) * per_point).clamp(least, most);
    let shown = (exact * parts).round() / parts;
    (exact, shown.clamp(least, most))
}

/// Selects a part of the text that is written in a field.
pub fn select(ui: &Ui, field: Id, part: CCursorRange) {
    let mut state = TextEdit::load_state(ui.ctx(), field).unwrap_or_default();
    state.cursor.set_char_range(Some(part));
    state.store(ui.ctx(), field);
}

fn draft_of<N: Numeric>(value: N, pass: u64) -> Draft {
    let value = value.to_f64();
    Draft { text: words(value), value, pass, is_written: false, dragged: None }
}

/// At most two decimals, and none that say nothing.
fn words(value: f64) -> String {
    ((value * 100.0).round() / 100.0).to_string()
}

/// The number that a text stands for, or why it can't be taken.
fn read<N: Numeric>(text: &str, range: &RangeInclusive<N>) -> Result<N, String> {
    let kind = if N::INTEGRAL { "a whole number" } else { "a number" };
    let (least, most) = (range.start().to_f64(), range.end().to_f64());
    let wanted = format!("write {kind} from {} to {}", words(least), words(most));
    let text = text.trim();
    let plain = text.replace(',', ".").replace('−', "-");
    let number = plain.parse::<f64>().ok().filter(|number| number.is_finite());
    match number {
        _ if text.is_empty() => Err(format!("There is no number — {wanted}")),
        None => Err(format!("“{text}” is no number — {wanted}")),
        Some(number) if number < least => Err(format!("“{text}” is too little — {wanted}")),
        Some(number) if number > most => Err(format!("“{text}” is too much — {wanted}")),
        Some(number) if N::INTEGRAL && number.fract() != 0.0 => {
            Err(format!("“{text}” is no whole number — {wanted}"))
        }
        Some(number) => Ok(N::from_f64(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_taken_as_it_is_or_refused_in_words() {
        assert_eq!(read(" 90,5 ", &(4.0..=6000.0)), Ok(90.5));
        assert_eq!(read("-5", &(-127..=127)), Ok(-5));
        assert_eq!(read("−5", &(-127..=127)), Ok(-5));
        let refused = |text: &str| read(text, &(1..=127)).unwrap_err();
        assert_eq!(refused("12090"), "“12090” is too much — write a whole number from 1 to 127");
        assert!(refused("0").contains("too little"));
        assert!(refused("12-5").contains("“12-5” is no number"));
        assert!(refused("1.5").contains("no whole number"));
        assert!(refused("NaN").contains("no number"));
        assert!(refused("").contains("There is no number"));
        assert_eq!(
            (words(120.0), words(119.999), words(0.25)),
            ("120".into(), "120".into(), "0.25".into())
        );
    }

    #[test]
    fn a_drag_turns_the_number_within_its_limits() {
        let range = 1..=127;
        let (mut exact, mut shown) = (60.0, 60.0);
        for _ in 0..30 {
            (exact, shown) = turned(exact, 1.0, false, &range);
        }
        assert!((68.0..=71.0).contains(&shown) && shown == exact.round(), "{exact} {shown}");
        assert_eq!(turned(120.0, 1e6, false, &range).1, 127.0);
        assert_eq!(turned(2.0, -1e6, false, &range).1, 1.0);
        assert_eq!(turned(50.0, 2.0, true, &(0.0..=100.0)).1, 50.1, "finely with Shift");
    }
}
