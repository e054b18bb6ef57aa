//! The line at the bottom, and the messages above it.

use egui::{
    Align, Align2, Area, Frame, Layout, Margin, Order, Rect, RichText, Sense, Ui, UiBuilder, Vec2,
};

use super::action::{Actions, AppAction};
use super::state::{Notice, NoticeKind, Notices, Offer, State};
use super::theme::{HALF_SPACE, ROW, SPACE, Theme};
use super::widgets::{counted, hint};

/// `standing` is what goes on, or what there is: it is told while nothing newer is.
pub fn ui(ui: &mut Ui, state: &State, standing: Option<String>, actions: &mut Actions) {
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let name = state.document.name();
            let short = shortened(&name, MOST_OF_A_NAME);
            let (text, tooltip) = if state.document.is_unsaved() {
                (format!("• {short}"), "changed since it was saved")
            } else {
                (short, "nothing to save")
            };
            let tooltip = format!("{name}: {tooltip}");
            ui.label(RichText::new(text).small().weak()).on_hover_text(tooltip);
            if state.takes.dropped.is_some()
                && ui.small_button("Bring the dropped take back").clicked()
            {
                actions.push(AppAction::UndoDrop);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let (text, color) = match &state.notices.last {
                    _ if state.roll_status.is_some() => {
                        (state.roll_status.clone().unwrap_or_default(), ui.visuals().text_color())
                    }
                    Some(notice) if notice.kind == NoticeKind::Error => {
                        (notice.text.clone(), ui.visuals().error_fg_color)
                    }
                    Some(notice) => (notice.text.clone(), ui.visuals().weak_text_color()),
                    None => (standing.unwrap_or_default(), ui.visuals().weak_text_color()),
                };
                let label = RichText::new(&text).small().color(color);
                ui.add(egui::Label::new(label).truncate()).on_hover_text(text);
            });
        });
    });
}

/// So many letters of a name leave room for what the line says.
const MOST_OF_A_NAME: usize = 60;

fn shortened(text: &str, n_letters: usize) -> String {
    match text.char_indices().nth(n_letters) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// The corners for messages, the best first: low notes and high ones are few at the end of a view.
const CORNERS: [Align2; 4] =
    [Align2::RIGHT_BOTTOM, Align2::LEFT_BOTTOM, Align2::RIGHT_TOP, Align2::LEFT_TOP];

/// Messages in a corner of the notes, the newest lowest. They are never wider than the notes'
/// `place`, leave the lanes and the map below it free, and appear in the first corner that isn't
/// `busy`. They are drawn in the layer of the notes, so that only their buttons take clicks: what
/// else is done on them is done to the notes behind.
pub fn notices_ui(
    ui: &mut Ui,
    theme: &Theme,
    state: &mut State,
    place: Rect,
    is_busy: impl Fn(Rect) -> bool,
    actions: &mut Actions,
) {
    let notices = &mut state.notices;
    if notices.shown.is_empty() {
        notices.are_held = false;
        return;
    }
    let width = (place.width() - SPACE * 4.0).clamp(SPACE * 24.0, SPACE * 50.0);
    let inner = place.shrink2(Vec2::new(SPACE * 2.0, SPACE * 1.5));
    let size = Vec2::new(width + SPACE * 2.0, ROW * 2.0 * Notices::MOST as f32);
    let corner = *notices.corner.get_or_insert_with(|| {
        let is_free = |corner: &Align2| !is_busy(corner.align_size_within_rect(size, inner));
        CORNERS.into_iter().find(is_free).unwrap_or(CORNERS[0])
    });
    let n_waiting = notices.shown.len().saturating_sub(Notices::MOST);
    // As high as they were when they were drawn last.
    let height_id = egui::Id::unique("height of the messages");
    let height = ui.data(|data| data.get_temp::<f32>(height_id)).unwrap_or(0.0);
    let rect = corner.align_size_within_rect(Vec2::new(size.x, height), inner);
    let builder = UiBuilder::new().max_rect(rect).layout(Layout::top_down(Align::Min));
    let shown = ui.scope_builder(builder.id_salt("messages"), |ui| {
        for (idx, notice) in notices.shown.iter().enumerate().skip(n_waiting) {
            ui.add_space(HALF_SPACE);
            let frame = Frame::popup(ui.style()).inner_margin(Margin::same(SPACE as i8));
            frame.show(ui, |ui| {
                ui.set_width(width);
                notice_ui(ui, theme, notice, idx, actions);
                if n_waiting > 0 && idx == n_waiting {
                    hint(ui, counted(n_waiting, "more error", "more errors") + " before this");
                }
            });
        }
    });
    let drawn = shown.response.rect;
    if drawn.height() != height {
        ui.data_mut(|data| data.insert_temp(height_id, drawn.height()));
        ui.ctx().request_discard("the messages are higher or lower than before");
    }
    let is_pointed_at = ui.input(|input| input.pointer.hover_pos());
    let is_pointed_at = is_pointed_at.is_some_and(|pos| drawn.contains(pos));
    notices.are_held = is_pointed_at || egui::Popup::is_any_open(ui.ctx());
}

fn notice_ui(ui: &mut Ui, theme: &Theme, notice: &Notice, idx: usize, actions: &mut Actions) {
    let (sign, color) = match notice.kind {
        NoticeKind::Done => ("✔", theme.good),
        NoticeKind::Note => ("ℹ", theme.text_weak),
        NoticeKind::Error => ("⚠", theme.error),
    };
    ui.horizontal(|ui| {
        ui.label(RichText::new(sign).color(color));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let close = ui.add_sized([ROW, ROW], egui::Button::new("✖").frame(false));
            close.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "Dismiss"));
            if close.clicked() {
                actions.push(AppAction::DismissNotice(idx));
            }
            match notice.offer {
                Some(Offer::UseTake(id)) => super::roll_header::use_menu(ui, id, actions),
                Some(Offer::UndoDrop) if ui.button("Bring it back").clicked() => {
                    actions.push(AppAction::UndoDrop);
                }
                Some(Offer::UndoDrop) | None => {}
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let text = match notice.count {
                    1 => notice.text.clone(),
                    count => format!("{} (×{count})", notice.text),
                };
                ui.add(egui::Label::new(text).wrap());
            });
        });
    });
}

/// What will happen with the files that are held over the window.
pub fn drop_hint_ui(ctx: &egui::Context, theme: &Theme) {
    let n_files = ctx.input(|input| input.raw.hovered_files.len());
    if n_files == 0 {
        return;
    }
    let rect = ctx.content_rect();
    Area::new(egui::Id::unique("drop hint")).order(Order::Tooltip).fixed_pos(rect.min).show(
        ctx,
        |ui| {
            let (rect, _) = ui.allocate_exact_size(rect.size(), Sense::hover());
            ui.painter().rect_filled(rect, 0.0, theme.panel.gamma_multiply(0.9));
            ui.put(
                rect,
                egui::Label::new(
                    "Drop a MIDI file or a project to open it, a folder or several files to \
                     learn from them",
                ),
            );
        },
    );
}
