//! The line at the bottom, and the messages above it.

use egui::{Align, Align2, Area, Frame, Layout, Margin, Order, RichText, Sense, Ui, Vec2};

use super::action::{Actions, AppAction};
use super::state::{NoticeKind, State};
use super::theme::{HALF_SPACE, ROW, SPACE, Theme};

pub fn ui(ui: &mut Ui, state: &State, library: Option<String>, actions: &mut Actions) {
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let name = state.document.name();
            let (text, tooltip) = if state.document.is_unsaved() {
                (format!("• {name}"), "Changed since it was saved")
            } else {
                (name, "Nothing to save")
            };
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
                    None => (library.unwrap_or_default(), ui.visuals().weak_text_color()),
                };
                let label = RichText::new(&text).small().color(color);
                ui.add(egui::Label::new(label).truncate()).on_hover_text(text);
            });
        });
    });
}

/// Messages over the top of the roll, the newest lowest.
pub fn notices_ui(ctx: &egui::Context, theme: &Theme, state: &State, actions: &mut Actions) {
    if state.notices.shown.is_empty() {
        return;
    }
    Area::new(egui::Id::unique("notices"))
        .order(Order::Foreground)
        .anchor(Align2::CENTER_TOP, Vec2::new(0.0, SPACE * 17.0))
        .show(ctx, |ui| {
            for (idx, notice) in state.notices.shown.iter().enumerate() {
                let (sign, color) = match notice.kind {
                    NoticeKind::Done => ("✔", theme.good),
                    NoticeKind::Note => ("ℹ", theme.text_weak),
                    NoticeKind::Error => ("⚠", theme.error),
                };
                let frame = Frame::popup(ui.style()).inner_margin(Margin::same(SPACE as i8));
                frame.show(ui, |ui| {
                    ui.set_width(SPACE * 56.0);
                    ui.horizontal(|ui| {
                        ui.label(RichText::new(sign).color(color));
                        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                            let close =
                                ui.add_sized([ROW, ROW], egui::Button::new("✖").frame(false));
                            close.widget_info(|| {
                                egui::WidgetInfo::labeled(egui::Role::Button, true, "Dismiss")
                            });
                            if close.clicked() {
                                actions.push(AppAction::DismissNotice(idx));
                            }
                            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                                ui.add(egui::Label::new(&notice.text).wrap());
                            });
                        });
                    });
                });
                ui.add_space(HALF_SPACE);
            }
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
