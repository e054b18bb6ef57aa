//! Small pieces that every panel is built from, and numbers as people write them.

use std::path::Path;
use std::time::Duration;

use egui::{Align, Button, Id, Layout, Response, RichText, Ui, Vec2};

use super::command::Command;
use super::state::State;
use super::theme::{ROW, SPACE, TALL_ROW, Theme};

/// The title of a part of a panel.
pub fn title(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).strong());
}

/// A line that explains, smaller and quieter.
pub fn hint(ui: &mut Ui, text: impl Into<String>) -> Response {
    ui.add(egui::Label::new(RichText::new(text).small().weak()).wrap())
}

/// What went wrong, where it went wrong.
pub fn problem(ui: &mut Ui, text: &str) -> Response {
    let color = ui.visuals().error_fg_color;
    ui.add(egui::Label::new(RichText::new(text).small().color(color)).wrap())
}

/// A name at the left and a control at the right of one line; both explain themselves.
pub fn row(
    ui: &mut Ui,
    name: &str,
    tooltip: &str,
    control: impl FnOnce(&mut Ui) -> Response,
) -> Response {
    let size = Vec2::new(ui.available_width(), ROW);
    ui.allocate_ui_with_layout(size, Layout::left_to_right(Align::Center), |ui| {
        let name = ui.label(name).on_hover_text(tooltip);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            control(ui).labelled_by(name.id).on_hover_text(tooltip)
        })
        .inner
    })
    .inner
}

/// A [`row`] whose control can't be used while there is a reason why.
pub fn fixed_row(
    ui: &mut Ui,
    why_fixed: Option<&str>,
    name: &str,
    tooltip: &str,
    control: impl FnOnce(&mut Ui) -> Response,
) -> Response {
    let Some(why) = why_fixed else { return row(ui, name, tooltip, control) };
    let fixed = ui.add_enabled_ui(false, |ui| row(ui, name, tooltip, control));
    fixed.response.on_hover_text(why).on_disabled_hover_text(why);
    fixed.inner.on_disabled_hover_text(why)
}

/// How wide the controls at the right of a [`row`] are.
pub const CONTROL_WIDTH: f32 = SPACE * 15.0;

/// A number between limits, written or dragged; as wide as a [`choice`].
pub fn number<N: egui::emath::Numeric>(
    value: &mut N,
    range: std::ops::RangeInclusive<N>,
    speed: f64,
) -> impl egui::Widget {
    let drag = egui::DragValue::new(value).range(range).speed(speed).update_while_editing(false);
    move |ui: &mut Ui| {
        let width = CONTROL_WIDTH.min(ui.available_width());
        ui.add_sized([width, ROW], drag)
    }
}

/// A number that may be switched off: a checkbox and, when it is on, the number.
pub fn optional<N: egui::emath::Numeric>(
    ui: &mut Ui,
    value: &mut Option<N>,
    when_on: N,
    range: std::ops::RangeInclusive<N>,
    speed: f64,
    name: &str,
) -> Response {
    let mut is_on = value.is_some();
    let mut response = ui.checkbox(&mut is_on, "");
    let accessible = format!("{name}, on or off");
    response
        .widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, is_on, &accessible));
    if response.changed() {
        *value = is_on.then_some(when_on);
    }
    if let Some(value) = value {
        let drag = egui::DragValue::new(value).range(range).speed(speed);
        // Together as wide as every control.
        let width = CONTROL_WIDTH - response.rect.width() - ui.spacing().item_spacing.x;
        response |= ui.add_sized([width, ROW], drag).on_hover_text(name);
    } else {
        ui.label(RichText::new("off").weak());
    }
    response
}

/// A choice among a few, in a drop-down list. `name` is read by screen readers.
pub fn choice<T: PartialEq + Clone>(
    ui: &mut Ui,
    name: &str,
    value: &mut T,
    options: &[(T, &str, &str)],
) -> Response {
    let current = options.iter().find(|(option, ..)| option == value).map_or("", |(_, it, _)| it);
    let mut changed = false;
    let mut response = egui::ComboBox::from_id_salt(name)
        .width(CONTROL_WIDTH)
        // All at once, where there is room.
        .height(SPACE * 90.0)
        .selected_text(current)
        .truncate()
        .show_ui(ui, |ui| {
            for (option, label, tooltip) in options {
                let row = ui.selectable_label(option == value, *label);
                if explained_beside(row, tooltip).clicked() && option != value {
                    *value = option.clone();
                    changed = true;
                }
            }
        })
        .response;
    if changed {
        response.mark_changed();
    }
    response
}

/// The one bright button.
pub fn accent_button(ui: &mut Ui, theme: &Theme, text: &str) -> Response {
    let text = RichText::new(text).strong().color(theme.on_accent);
    ui.scope(|ui| {
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.weak_bg_fill = theme.accent;
        widgets.hovered.weak_bg_fill = theme.accent_hovered;
        widgets.active.weak_bg_fill = theme.accent_hovered;
        let width = ui.available_width();
        ui.add_sized(Vec2::new(width, TALL_ROW), Button::new(text))
    })
    .inner
}

/// Whether what is shown has stayed as it is, told by `shown`, for so long that a press is meant for
/// what stands there now and not for what stood there before. To be asked in every frame.
pub fn is_settled<T>(ui: &Ui, what: &'static str, shown: T) -> bool
where
    T: Clone + PartialEq + Send + Sync + 'static,
{
    const REST_SECS: f64 = 0.7;
    let id = Id::unique(("settled", what));
    let now = ui.input(|input| input.time);
    let since = match ui.data(|data| data.get_temp::<(T, f64)>(id)) {
        Some((before, since)) if before == shown => since,
        Some(_) => now,
        None => f64::NEG_INFINITY,
    };
    ui.data_mut(|data| data.insert_temp(id, (shown, since)));
    let left = since + REST_SECS - now;
    if left > 0.0 {
        ui.ctx().request_repaint_after(Duration::from_secs_f64(left));
    }
    left <= 0.0
}

/// A button of a command: its words, keys and, when it can't be pressed, why. Pushes nothing:
/// returns whether it was pressed.
pub fn command_button(ui: &mut Ui, state: &State, command: Command, text: &str) -> bool {
    command_widget(ui, state, command, Button::new(text)).clicked()
}

/// The same with a button of the caller's making.
pub fn command_widget(
    ui: &mut Ui,
    state: &State,
    command: Command,
    button: Button<'_>,
) -> Response {
    let enabled = command.enabled(state);
    let mut tooltip = command.tooltip().to_owned();
    if let Some(shortcut) = command.shortcut() {
        tooltip += &format!("  ({})", ui.ctx().format_shortcut(&shortcut));
    }
    let response = ui.add_enabled(enabled.is_ok(), button).on_hover_text(tooltip);
    match enabled {
        Ok(()) => response,
        Err(why) => response.on_disabled_hover_text(why),
    }
}

/// A button of a command that is on or off. Returns whether it was pressed.
pub fn command_toggle(
    ui: &mut Ui,
    state: &State,
    command: Command,
    text: &str,
    is_on: bool,
    min_width: f32,
) -> bool {
    let button = Button::selectable(is_on, text).min_size(Vec2::new(min_width, ROW));
    let response = command_widget(ui, state, command, button);
    tell_toggle(&response, is_on, command.label());
    response.clicked()
}

/// A button of a letter that is on or off. Returns whether it was pressed.
pub fn letter_toggle(ui: &mut Ui, letter: &str, name: &str, is_on: bool) -> bool {
    let response = ui.add(Button::selectable(is_on, letter).min_size(Vec2::splat(ROW)));
    tell_toggle(&response, is_on, name);
    response.on_hover_text(name).clicked()
}

/// Tells a screen reader whether a button is on.
fn tell_toggle(response: &Response, is_on: bool, name: &str) {
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, is_on, name));
}

/// A dialog over everything, with room around what it says.
pub fn modal(ctx: &egui::Context, name: &str) -> egui::Modal {
    let margin = egui::Margin::same(SPACE as i8 * 2);
    let frame = egui::Frame::popup(&ctx.global_style()).inner_margin(margin);
    egui::Modal::new(egui::Id::unique(name)).frame(frame)
}

/// Explains a control above it: what lies below is what one looks at while using it.
pub fn explained_above(response: Response, text: &str) -> Response {
    explained(response, text, [egui::RectAlign::TOP_START, egui::RectAlign::BOTTOM_START])
}

/// Explains a line of a list beside it, so that the lines below stay in sight.
fn explained_beside(response: Response, text: &str) -> Response {
    explained(response, text, [egui::RectAlign::RIGHT_START, egui::RectAlign::LEFT_START])
}

/// Explains a control at the first of these places where there is room.
fn explained(response: Response, text: &str, places: [egui::RectAlign; 2]) -> Response {
    let mut tooltip = egui::Tooltip::for_enabled(&response);
    tooltip.popup = tooltip.popup.align(places[0]).align_alternatives(&places);
    tooltip.show(|ui| ui.label(text));
    response
}

/// A button that opens a list of switches. It stays open while they are set.
pub fn switches_menu(ui: &mut Ui, text: &str, switches: impl FnOnce(&mut Ui)) -> Response {
    let close = egui::PopupCloseBehavior::CloseOnClickOutside;
    let config = egui::containers::menu::MenuConfig::new().close_behavior(close);
    egui::containers::menu::MenuButton::new(text).config(config).ui(ui, switches).0
}

/// A bar that shows how far something is; `share` is 0–1.
pub fn progress(ui: &mut Ui, theme: &Theme, share: f32, name: &str) -> Response {
    let bar = egui::ProgressBar::new(share.clamp(0.0, 1.0))
        .desired_height(SPACE)
        .fill(theme.accent)
        .corner_radius(SPACE / 2.0);
    let response = ui.add(bar);
    let percent = format!("{name}, {:.0} %", share * 100.0);
    response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, &percent));
    response
}

/// The last part of a path, or all of it.
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// A whole number with commas between thousands.
pub fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs().min(1e18));
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if number < 0.0 {
        text.push('-');
    }
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 piece`, `1,024 pieces`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count as f64), if count == 1 { one } else { many })
}

/// A time as people say it: `12 s`, `3 min`, `2 h 5 min`.
pub fn duration(secs: f64) -> String {
    let secs = if secs.is_finite() { secs.max(0.0) } else { 0.0 };
    let minutes = (secs / 60.0).round() as u64;
    match secs {
        _ if secs < 59.5 => format!("{secs:.0} s"),
        _ if minutes < 60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// A number of bytes: `640 MB`, `1.2 GB`.
pub fn bytes(count: u64) -> String {
    let megabytes = count as f64 / 1e6;
    if megabytes < 1_000.0 {
        format!("{} MB", grouped(megabytes.ceil()))
    } else {
        format!("{:.1} GB", megabytes / 1e3)
    }
}

/// Three significant digits and no more than needed: `102.9` becomes `103`, `1.4142` `1.41`.
pub fn short(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".to_owned(),
        size if size >= 1e9 => format!("{value:.1e}"),
        size if size >= 1e6 => format!("{:.1} million", value / 1e6),
        size if size >= 100.0 => grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(-999.6), "-1,000");
        assert_eq!(counted(1, "piece", "pieces"), "1 piece");
        assert_eq!(duration(59.6), "1 min");
        assert_eq!(duration(7_500.0), "2 h 5 min");
        assert_eq!(duration(f64::NAN), "0 s");
        assert_eq!(short(102.9), "103");
        assert_eq!(short(std::f64::consts::SQRT_2), "1.41");
        assert_eq!(short(f64::INFINITY), "–");
        assert_eq!(short(73_331_557.0), "73.3 million");
        assert_eq!(bytes(1_250_000_000), "1.2 GB");
    }
}
