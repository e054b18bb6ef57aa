//! How everything looks: the only place that names colors, sizes and distances.
//!
//! Three themes share one set of roles. A widget asks for a role ("the accent", "a bar line"),
//! never for a color, so that a fourth theme is one more table here and nothing else.

use egui::style::{HandleShape, Selection, WidgetVisuals, Widgets};
use egui::{
    Color32, CornerRadius, FontDefinitions, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle,
    Visuals,
};
use serde::{Deserialize, Serialize};

use crate::music::Velocity;

/// The distance between things that belong together, in points; everything is a multiple or
/// half of it.
pub const SPACE: f32 = 8.0;
/// Half of [`SPACE`], between a control and its neighbor in the same line.
pub const HALF_SPACE: f32 = 4.0;
/// The height of buttons, fields and rows, in points.
pub const ROW: f32 = 24.0;
/// The height of the one bright button, in points.
pub const TALL_ROW: f32 = 40.0;
/// The larger of the two type sizes, in points: everything that is read or pressed.
pub const TEXT_SIZE: f32 = 14.0;
/// The smaller one: hints, axes, the ruler.
pub const SMALL_SIZE: f32 = 12.0;
/// How round the corners of buttons and fields are, in points.
pub const ROUNDING: u8 = 4;

/// egui's fonts; what the proportional ones lack, arrows above all, comes from the monospace one.
fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let monospace = fonts.families.get(&FontFamily::Monospace).cloned().unwrap_or_default();
    let proportional = fonts.families.entry(FontFamily::Proportional).or_default();
    let missing: Vec<_> =
        monospace.into_iter().filter(|name| !proportional.contains(name)).collect();
    proportional.extend(missing);
    fonts
}

/// Which theme the user chose.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThemeName {
    #[default]
    Dark,
    Light,
    HighContrast,
}

impl ThemeName {
    pub const ALL: [Self; 3] = [Self::Dark, Self::Light, Self::HighContrast];

    pub fn label(self) -> &'static str {
        match self {
            Self::Dark => "Dark",
            Self::Light => "Light",
            Self::HighContrast => "High contrast",
        }
    }

    pub fn theme(self) -> Theme {
        match self {
            Self::Dark => dark(),
            Self::Light => light(),
            Self::HighContrast => high_contrast(),
        }
    }
}

/// Every color of the window by its role.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    pub name: ThemeName,
    /// Behind panels.
    pub panel: Color32,
    /// Behind what is written into: text fields, the curves.
    pub sunken: Color32,
    /// Behind menus, tooltips and dialogs.
    pub raised: Color32,
    /// A button at rest, under the pointer, and pressed.
    pub button: Color32,
    pub button_hovered: Color32,
    pub button_pressed: Color32,
    /// Separators and outlines.
    pub line: Color32,
    pub text: Color32,
    /// Hints and units: still readable (contrast of at least 4.5 to the panel).
    pub text_weak: Color32,
    pub text_strong: Color32,
    /// The one bright color, and what is written on it.
    pub accent: Color32,
    pub accent_hovered: Color32,
    pub on_accent: Color32,
    /// Behind chosen text and chosen rows.
    pub chosen: Color32,
    pub warning: Color32,
    pub error: Color32,
    pub good: Color32,
    pub shadow: Color32,
    pub roll: RollTheme,
    pub curves: CurveTheme,
}

/// The colors of the piano roll.
#[derive(Clone, Debug, PartialEq)]
pub struct RollTheme {
    pub background: Color32,
    /// Painted over the background in the rows of black keys.
    pub black_row: Color32,
    /// Painted over the background after the last note of the score.
    pub beyond_end: Color32,
    pub bar_line: Color32,
    pub beat_line: Color32,
    /// The finest lines: the grid that notes snap to.
    pub grid_line: Color32,
    /// Between B and C.
    pub octave_line: Color32,
    /// Under the tonic of the key.
    pub tonic_line: Color32,
    /// Where the sustain pedal is down.
    pub pedal: Color32,
    /// Parts, told apart also by those who see few colors; used round and round.
    pub parts: [Color32; 8],
    pub ruler: Color32,
    pub ruler_text: Color32,
    pub key_white: Color32,
    pub key_black: Color32,
    pub key_line: Color32,
    pub key_text: Color32,
    /// A key that sounds.
    pub key_sounding: Color32,
    pub playhead: Color32,
    /// The outline of chosen notes and of the rubber band, and the inside of the band.
    pub selection: Color32,
    /// Between the outline of a chosen note and its inside.
    pub selection_gap: Color32,
    pub selection_fill: Color32,
    pub note_outline: Color32,
    pub note_text: Color32,
    /// From the softest velocity through the middle to the loudest: blue, grey and yellow, after
    /// cividis (Nuñez, Anderton and Renslow 2018, "Optimizing colormaps with consideration for
    /// color vision deficiency"). Lightness alone tells soft from loud, so that it is read with
    /// any kind of color blindness, and in print.
    pub velocity_ramp: [Color32; 3],
}

/// The colors of the curves.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveTheme {
    pub train: Color32,
    pub held_out: Color32,
    pub live: Color32,
    pub baseline: Color32,
    /// Behind the epochs in which the held-out loss rises past its best.
    pub overfitting: Color32,
    pub best: Color32,
    /// Earlier runs, told apart; used round and round.
    pub runs: [Color32; 5],
}

impl Theme {
    /// The color of a note by how hard it is struck: the louder, the farther from the background.
    pub fn velocity_color(&self, velocity: Velocity) -> Color32 {
        let share = f32::from(velocity.number() - 1) / 126.0;
        let [soft, middle, loud] = self.roll.velocity_ramp;
        if share < 0.5 {
            soft.lerp_to_gamma(middle, share * 2.0)
        } else {
            middle.lerp_to_gamma(loud, share * 2.0 - 1.0)
        }
    }

    /// The color of notes of a part by how hard they are struck: the fainter the softer.
    pub fn part_velocity_color(&self, part: Color32, velocity: Velocity) -> Color32 {
        let strength = 0.8 + 0.2 * f32::from(velocity.number()) / 127.0;
        self.roll.background.lerp_to_gamma(part, strength)
    }

    /// A note's color for where there is no room for its outline, which alone sets soft notes off
    /// from light paper.
    pub fn without_outline(&self, note: Color32) -> Color32 {
        if self.is_dark() { note } else { note.blend(self.roll.note_outline) }
    }

    /// The color of a part: the one that was chosen for it, or that of its place.
    pub fn part_color(&self, chosen: Option<u8>, place: usize) -> Color32 {
        let colors = &self.roll.parts;
        colors[chosen.map_or(place, usize::from) % colors.len()]
    }

    /// Sets the style of everything egui draws itself.
    pub fn apply(&self, ctx: &egui::Context) {
        let base = if self.is_dark() { egui::Theme::Dark } else { egui::Theme::Light };
        ctx.set_theme(base);
        ctx.set_fonts(fonts());
        ctx.all_styles_mut(|style| {
            style.visuals = self.visuals();
            style.text_styles = text_styles();
            style.animation_time = 0.1;
            set_spacing(&mut style.spacing);
            style.interaction.selectable_labels = false;
            style.interaction.tooltip_delay = 0.4;
        });
    }

    pub fn is_dark(&self) -> bool {
        self.name != ThemeName::Light
    }

    /// A faint version of a color, for raw lines behind smoothed ones and for what is preliminary.
    pub fn faint(color: Color32) -> Color32 {
        color.gamma_multiply(0.35)
    }

    fn visuals(&self) -> Visuals {
        let base = if self.is_dark() { Visuals::dark() } else { Visuals::light() };
        let rounding = CornerRadius::same(ROUNDING);
        let shadow = Shadow { offset: [0, 4], blur: 16, spread: 0, color: self.shadow };
        Visuals {
            weak_text_color: Some(self.text_weak),
            widgets: self.widgets(),
            selection: Selection {
                bg_fill: self.chosen,
                stroke: Stroke::new(1.0, self.text_strong),
            },
            hyperlink_color: self.accent,
            faint_bg_color: self.button,
            extreme_bg_color: self.sunken,
            text_edit_bg_color: Some(self.sunken),
            code_bg_color: self.sunken,
            warn_fg_color: self.warning,
            error_fg_color: self.error,
            window_corner_radius: rounding,
            menu_corner_radius: rounding,
            window_fill: self.raised,
            window_stroke: Stroke::new(1.0, self.line),
            window_shadow: shadow,
            popup_shadow: shadow,
            panel_fill: self.panel,
            indent_has_left_vline: false,
            slider_trailing_fill: true,
            handle_shape: HandleShape::Circle,
            ..base
        }
    }

    fn widgets(&self) -> Widgets {
        let widget = |fill, line: Option<Color32>, text| WidgetVisuals {
            bg_fill: fill,
            weak_bg_fill: fill,
            bg_stroke: line.map_or(Stroke::NONE, |line| Stroke::new(1.0, line)),
            corner_radius: CornerRadius::same(ROUNDING),
            fg_stroke: Stroke::new(1.0, text),
            expansion: 0.0,
        };
        // Outlines of controls at rest are drawn only where shades alone don't tell them apart.
        let at_rest = (self.name == ThemeName::HighContrast).then_some(self.line);
        Widgets {
            noninteractive: widget(self.panel, Some(self.line), self.text),
            inactive: widget(self.button, at_rest, self.text),
            hovered: widget(self.button_hovered, Some(self.line), self.text_strong),
            active: widget(self.button_pressed, Some(self.accent), self.text_strong),
            open: widget(self.button_hovered, Some(self.line), self.text_strong),
        }
    }
}

fn text_styles() -> std::collections::BTreeMap<TextStyle, FontId> {
    let text = FontId::new(TEXT_SIZE, FontFamily::Proportional);
    [
        (TextStyle::Small, FontId::new(SMALL_SIZE, FontFamily::Proportional)),
        (TextStyle::Body, text.clone()),
        (TextStyle::Button, text.clone()),
        (TextStyle::Heading, text),
        (TextStyle::Monospace, FontId::new(TEXT_SIZE, FontFamily::Monospace)),
    ]
    .into()
}

fn set_spacing(spacing: &mut egui::Spacing) {
    spacing.item_spacing = egui::vec2(SPACE, HALF_SPACE);
    spacing.window_margin = Margin::same(SPACE as i8 * 2);
    spacing.menu_margin = Margin::same(HALF_SPACE as i8);
    spacing.button_padding = egui::vec2(SPACE, HALF_SPACE / 2.0);
    spacing.interact_size = egui::vec2(ROW, ROW);
    spacing.indent = SPACE * 2.0;
    spacing.slider_rail_height = HALF_SPACE;
    spacing.icon_width = SPACE * 2.0;
    spacing.icon_width_inner = SPACE;
    spacing.icon_spacing = SPACE;
    spacing.tooltip_width = SPACE * 40.0;
    spacing.menu_spacing = HALF_SPACE;
    spacing.scroll = egui::style::ScrollStyle::thin();
}

const fn rgb(hex: u32) -> Color32 {
    let [_, red, green, blue] = hex.to_be_bytes();
    Color32::from_rgb(red, green, blue)
}

/// The palette of Okabe and Ito 2008, "Color universal design", without its black: eight colors
/// that remain apart for every common kind of color blindness; the last is a grey.
const PART_COLORS: [Color32; 8] = [
    rgb(0x56_b4e9),
    rgb(0xe6_9f00),
    rgb(0x00_9e73),
    rgb(0xcc_79a7),
    rgb(0xd5_5e00),
    rgb(0xf0_e442),
    rgb(0x3a_85c4),
    rgb(0xa0_a0a0),
];

/// `alpha` is 0–255.
fn rgba(hex: u32, alpha: u8) -> Color32 {
    let [_, red, green, blue] = hex.to_be_bytes();
    Color32::from_rgba_unmultiplied(red, green, blue, alpha)
}

fn dark() -> Theme {
    Theme {
        name: ThemeName::Dark,
        panel: rgb(0x1f_2126),
        sunken: rgb(0x17_181c),
        raised: rgb(0x28_2b31),
        button: rgb(0x31_343c),
        button_hovered: rgb(0x3c_4049),
        button_pressed: rgb(0x28_2b31),
        line: rgb(0x3a_3d45),
        text: rgb(0xcf_d2d8),
        text_weak: rgb(0x97_9ca7),
        text_strong: rgb(0xf4_f5f7),
        accent: rgb(0xf5_b04c),
        accent_hovered: rgb(0xff_c46c),
        on_accent: rgb(0x22_1703),
        chosen: rgb(0x4f_4430),
        warning: rgb(0xe8_c268),
        error: rgb(0xf0_7f73),
        good: rgb(0x80_c99a),
        shadow: rgba(0, 110),
        roll: RollTheme {
            background: rgb(0x1a_1c20),
            black_row: rgb(0x16_171b),
            beyond_end: rgba(0, 60),
            bar_line: rgb(0x3d_414a),
            beat_line: rgb(0x2a_2d33),
            grid_line: rgb(0x21_2429),
            octave_line: rgb(0x32_353c),
            tonic_line: rgb(0x6b_5a35),
            pedal: rgb(0x6f_8fb8),
            parts: PART_COLORS,
            ruler: rgb(0x1f_2126),
            ruler_text: rgb(0x97_9ca7),
            key_white: rgb(0xd9_dade),
            key_black: rgb(0x2a_2c32),
            key_line: rgb(0x8b_8e96),
            key_text: rgb(0x50_535b),
            key_sounding: rgb(0xf5_b04c),
            playhead: rgb(0xf4_f5f7),
            selection: rgb(0xff_ffff),
            selection_gap: rgb(0x17_181c),
            selection_fill: rgba(0xff_ffff, 24),
            note_outline: rgba(0, 120),
            note_text: rgb(0x17_181c),
            velocity_ramp: [rgb(0x5a_6ca0), rgb(0x9a_968a), rgb(0xfe_e05a)],
        },
        curves: CurveTheme {
            train: rgb(0x7f_9cc7),
            held_out: rgb(0xf5_b04c),
            live: rgb(0x5d_6b82),
            baseline: rgb(0x6d_727d),
            overfitting: rgba(0xf0_7f73, 26),
            best: rgb(0xf4_f5f7),
            runs: [rgb(0x7c_b89a), rgb(0xb4_92cf), rgb(0xc9_8a86), rgb(0x6f_b3c4), rgb(0xb3_b06c)],
        },
    }
}

fn light() -> Theme {
    Theme {
        name: ThemeName::Light,
        panel: rgb(0xf3_f2ef),
        sunken: rgb(0xfc_fbf9),
        raised: rgb(0xff_ffff),
        button: rgb(0xe2_e0db),
        button_hovered: rgb(0xd6_d3cc),
        button_pressed: rgb(0xca_c6bd),
        line: rgb(0xcb_c8c1),
        text: rgb(0x2c_2d31),
        text_weak: rgb(0x63_656c),
        text_strong: rgb(0x0d_0e11),
        accent: rgb(0xc8_6a10),
        accent_hovered: rgb(0xdd_7b1d),
        on_accent: rgb(0xff_ffff),
        chosen: rgb(0xf2_d9b3),
        warning: rgb(0x8d_6100),
        error: rgb(0xb3_2b20),
        good: rgb(0x2a_7444),
        shadow: rgba(0, 40),
        roll: RollTheme {
            background: rgb(0xfb_faf8),
            black_row: rgb(0xf1_efeb),
            beyond_end: rgba(0, 10),
            bar_line: rgb(0xb9_b6af),
            beat_line: rgb(0xdb_d8d2),
            grid_line: rgb(0xeb_e9e4),
            octave_line: rgb(0xd2_cfc8),
            tonic_line: rgb(0xd9_a860),
            pedal: rgb(0x5f_83b5),
            parts: PART_COLORS,
            ruler: rgb(0xf3_f2ef),
            ruler_text: rgb(0x63_656c),
            key_white: rgb(0xff_ffff),
            key_black: rgb(0x3a_3b40),
            key_line: rgb(0xb4_b1aa),
            key_text: rgb(0x63_656c),
            key_sounding: rgb(0xdd_7b1d),
            playhead: rgb(0x16_171b),
            selection: rgb(0x0d_0e11),
            selection_gap: rgb(0xff_ffff),
            selection_fill: rgba(0x0d_0e11, 20),
            note_outline: rgba(0, 120),
            note_text: rgb(0x0d_0e11),
            velocity_ramp: [rgb(0xd8_cf9c), rgb(0x93_a6b8), rgb(0x3f_72c4)],
        },
        curves: CurveTheme {
            train: rgb(0x3f_64a0),
            held_out: rgb(0xc8_6a10),
            live: rgb(0x9d_aabf),
            baseline: rgb(0x8f_9097),
            overfitting: rgba(0xb3_2b20, 22),
            best: rgb(0x0d_0e11),
            runs: [rgb(0x2f_7d55), rgb(0x7a_4fa0), rgb(0x9b_4640), rgb(0x20_7386), rgb(0x74_7018)],
        },
    }
}

fn high_contrast() -> Theme {
    Theme {
        name: ThemeName::HighContrast,
        panel: rgb(0),
        sunken: rgb(0),
        raised: rgb(0),
        button: rgb(0x1a_1a1a),
        button_hovered: rgb(0x3d_3d3d),
        button_pressed: rgb(0x5a_5a5a),
        line: rgb(0xb8_b8b8),
        text: rgb(0xff_ffff),
        text_weak: rgb(0xdd_dddd),
        text_strong: rgb(0xff_ffff),
        accent: rgb(0xff_d800),
        accent_hovered: rgb(0xff_ea66),
        on_accent: rgb(0),
        chosen: rgb(0x00_4f9e),
        warning: rgb(0xff_d800),
        error: rgb(0xff_8a80),
        good: rgb(0x7d_ff9b),
        shadow: rgba(0, 0),
        roll: RollTheme {
            background: rgb(0),
            black_row: rgb(0x17_1717),
            beyond_end: rgba(0xff_ffff, 18),
            bar_line: rgb(0x9a_9a9a),
            beat_line: rgb(0x55_5555),
            grid_line: rgb(0x30_3030),
            octave_line: rgb(0x77_7777),
            tonic_line: rgb(0xff_d800),
            pedal: rgb(0x6f_b6ff),
            parts: PART_COLORS,
            ruler: rgb(0),
            ruler_text: rgb(0xff_ffff),
            key_white: rgb(0xff_ffff),
            key_black: rgb(0),
            key_line: rgb(0x77_7777),
            key_text: rgb(0),
            key_sounding: rgb(0xff_d800),
            playhead: rgb(0xff_d800),
            selection: rgb(0xff_ffff),
            selection_gap: rgb(0),
            selection_fill: rgba(0xff_ffff, 50),
            note_outline: rgb(0),
            note_text: rgb(0),
            velocity_ramp: [rgb(0x4d_7dff), rgb(0xb0_b0a8), rgb(0xff_f07a)],
        },
        curves: CurveTheme {
            train: rgb(0x6f_b6ff),
            held_out: rgb(0xff_d800),
            live: rgb(0x8a_8a8a),
            baseline: rgb(0xb8_b8b8),
            overfitting: rgba(0xff_8a80, 60),
            best: rgb(0xff_ffff),
            runs: [rgb(0x7d_ff9b), rgb(0xe0_9bff), rgb(0xff_8a80), rgb(0x6f_f0ff), rgb(0xff_b8e0)],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG 2, 0–1.
    fn luminance(color: Color32) -> f32 {
        let linear = egui::Rgba::from(color);
        0.2126 * linear.r() + 0.7152 * linear.g() + 0.0722 * linear.b()
    }

    fn contrast(one: Color32, other: Color32) -> f32 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn text_can_be_read_in_every_theme() {
        for name in ThemeName::ALL {
            let theme = name.theme();
            for (text, behind) in [
                (theme.text, theme.panel),
                (theme.text_weak, theme.panel),
                (theme.text, theme.button),
                (theme.text, theme.raised),
                (theme.error, theme.panel),
                (theme.warning, theme.panel),
                (theme.roll.ruler_text, theme.roll.ruler),
                (theme.roll.key_text, theme.roll.key_white),
            ] {
                let contrast = contrast(text, behind);
                assert!(contrast >= 4.5, "{name:?}: {text:?} on {behind:?} has {contrast:.2}");
            }
            // The large button needs 3 to 1.
            assert!(contrast(theme.on_accent, theme.accent) >= 3.0, "{name:?}");
        }
    }

    /// How a color looks to the color-blind: Machado, Oliveira and Fernandes 2009, "A
    /// physiologically-based model for simulation of color vision deficiency", at full severity.
    fn seen_by(matrix: [[f32; 3]; 3], color: Color32) -> f32 {
        let linear = egui::Rgba::from(color);
        let mix = |row: [f32; 3]| {
            let sum = row[0] * linear.r() + row[1] * linear.g() + row[2] * linear.b();
            sum.clamp(0.0, 1.0)
        };
        0.2126 * mix(matrix[0]) + 0.7152 * mix(matrix[1]) + 0.0722 * mix(matrix[2])
    }

    #[test]
    fn velocities_can_be_told_by_the_color_blind() {
        const PROTAN: [[f32; 3]; 3] = [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ];
        const DEUTAN: [[f32; 3]; 3] = [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_82, 0.042_94, 0.968_881],
        ];
        const TRITAN: [[f32; 3]; 3] = [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_9],
        ];
        for name in ThemeName::ALL {
            let theme = name.theme();
            for matrix in [PROTAN, DEUTAN, TRITAN] {
                let light =
                    |number| seen_by(matrix, theme.velocity_color(Velocity::saturating(number)));
                let steps: Vec<f32> = [1, 32, 64, 96, 127].map(light).to_vec();
                let is_rising = steps[0] < steps[4];
                for pair in steps.windows(2) {
                    let (low, high) =
                        if is_rising { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
                    assert!((high + 0.05) / (low + 0.05) > 1.1, "{name:?} {steps:?}");
                }
            }
        }
    }

    #[test]
    fn notes_stand_out_from_their_rows() {
        for name in ThemeName::ALL {
            let theme = name.theme();
            for number in [1, 10, 32, 64, 96, 127] {
                let velocity = Velocity::saturating(number);
                let parts = theme.roll.parts.map(|part| theme.part_velocity_color(part, velocity));
                for color in parts.into_iter().chain([theme.velocity_color(velocity)]) {
                    let color = theme.without_outline(color);
                    for row in [theme.roll.background, theme.roll.black_row] {
                        let contrast = contrast(color, row);
                        assert!(contrast >= 3.0, "{name:?} {number}: {color:?} has {contrast:.2}");
                    }
                }
            }
        }
    }

    #[test]
    fn velocities_look_different_from_each_other() {
        for name in ThemeName::ALL {
            let theme = name.theme();
            let color = |number| theme.velocity_color(Velocity::saturating(number));
            assert_eq!(color(1), theme.roll.velocity_ramp[0]);
            assert_eq!(color(127), theme.roll.velocity_ramp[2]);
            assert_ne!(color(40), color(60));
            assert_ne!(color(90), color(110));
        }
    }
}
