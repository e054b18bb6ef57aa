//! The part of a piece that is seen: the only place that turns ticks and pitches into points of
//! the screen and back. Pure; it knows no widget.

use std::ops::RangeInclusive;

use egui::{Pos2, Rect, Vec2, pos2};

use super::RollLook;
use crate::music::{Pitch, Tick};

/// How low and how high a row can be, in points.
pub const ROW_HEIGHTS: RangeInclusive<f32> = 4.0..=40.0;

/// How wide a quarter note can be, in points, at the closest.
const WIDEST_QUARTER: f64 = 800.0;

/// Ticks run to the right, pitches upwards.
///
/// ```
/// # use etude::ui::piano_roll::Viewport;
/// # use egui::{Rect, pos2, vec2};
/// let mut viewport = Viewport::new(480);
/// viewport.place(Rect::from_min_size(pos2(50.0, 20.0), vec2(800.0, 400.0)));
/// viewport.set_content(100_000.0, 21..=108);
/// let x = viewport.x_from_tick(960.0);
/// assert!((viewport.tick_from_x(x) - 960.0).abs() < 0.1);
///
/// // What is under the pointer stays there while one zooms.
/// viewport.zoom_time(2.0, x);
/// assert!((viewport.tick_from_x(x) - 960.0).abs() < 0.1);
/// ```
#[derive(Clone, Debug)]
pub struct Viewport {
    rect: Rect,
    ticks_per_quarter: f64,
    /// The tick at the left edge, fractional so that slow scrolling is smooth. Not negative.
    left: f64,
    ticks_per_point: f64,
    /// Rows above the top edge; row 0 is the highest pitch.
    top: f64,
    row_height: f32,
    /// Between what pitches there are rows.
    pitches: RangeInclusive<u8>,
    /// Which of them have a row when rows are folded away, a bit for each.
    unfolded: u128,
    /// The pitch of each row, from the highest down. Never empty.
    rows: Vec<u8>,
    /// Where the piece ends, which bounds scrolling and zooming out.
    end: f64,
    /// What was made to fit and is made so again when there is more or less room, until the user
    /// zooms or goes elsewhere.
    fitted_ticks: Option<(u32, u32)>,
    fitted_rows: Option<FittedRows>,
}

/// Pitches that were made to fit into the height.
#[derive(Clone, Debug)]
struct FittedRows {
    pitches: RangeInclusive<u8>,
    /// How low and how high their rows may be, in points.
    heights: RangeInclusive<f32>,
}

impl Viewport {
    /// The start of a piece with so many ticks in a quarter, at a size at which one can work.
    pub fn new(ticks_per_quarter: u32) -> Self {
        let ticks_per_quarter = f64::from(ticks_per_quarter);
        let pitches = Pitch::PIANO_LOWEST.number()..=Pitch::PIANO_HIGHEST.number();
        Self {
            rect: Rect::ZERO,
            ticks_per_quarter,
            left: 0.0,
            ticks_per_point: ticks_per_quarter / 48.0,
            top: 0.0,
            row_height: 12.0,
            unfolded: u128::MAX,
            rows: pitches.clone().rev().collect(),
            pitches,
            end: 0.0,
            fitted_ticks: None,
            fitted_rows: None,
        }
    }

    /// Where on the screen it lies, in points. What is at the left and at half the height stays
    /// there: a panel that opens must not push the music out of sight. What was made to fit does
    /// so again.
    pub fn place(&mut self, rect: Rect) {
        let (old, was_seen) = (self.rect, self.rect.height() >= 1.0);
        if was_seen {
            self.top += f64::from((old.height() - rect.height()) / 2.0 / self.row_height);
        }
        self.rect = rect;
        if was_seen && old.height() != rect.height() {
            let middle = self.middle_pitch();
            self.fit_rows();
            self.center_pitch(middle);
        }
        if was_seen && old.width() != rect.width() {
            self.fit_ticks();
        }
        self.keep_in_bounds();
    }

    fn fit_rows(&mut self) {
        let Some(FittedRows { pitches, heights }) = &self.fitted_rows else { return };
        let n_rows = self.n_rows_between(pitches) as f32 + 6.0;
        self.row_height = (self.rect.height() / n_rows).clamp(*heights.start(), *heights.end());
    }

    fn fit_ticks(&mut self) {
        let Some((from, to)) = self.fitted_ticks else { return };
        let length = f64::from(to.saturating_sub(from)).max(self.ticks_per_quarter * 4.0);
        self.ticks_per_point = length * 1.04 / f64::from(self.rect.width().max(1.0));
        self.limit_zoom();
        self.left = f64::from(from);
    }

    /// What there is to see: up to which tick, and between which pitches.
    pub fn set_content(&mut self, end_tick: f64, pitches: RangeInclusive<u8>) {
        self.end = end_tick;
        if pitches != self.pitches {
            self.pitches = pitches;
            self.lay_rows();
        }
        self.keep_in_bounds();
    }

    /// Which pitches have a row, a bit for each; without any of them all have one.
    pub fn unfold(&mut self, pitches: u128) {
        if pitches != self.unfolded {
            self.unfolded = pitches;
            self.lay_rows();
            self.keep_in_bounds();
        }
    }

    /// Counts the rows anew; what is in the middle stays there.
    fn lay_rows(&mut self) {
        let middle = self.middle_pitch();
        let is_shown = |pitch: &u8| self.unfolded >> pitch & 1 == 1;
        let all = || self.pitches.clone().rev();
        let rows: Vec<u8> = all().filter(is_shown).collect();
        self.rows = if rows.is_empty() { all().collect() } else { rows };
        let rows_seen = f64::from(self.rect.height() / self.row_height);
        self.top = self.row_from_middle(middle) - rows_seen / 2.0;
    }

    /// Whether the pitch has a row of its own.
    pub fn has_row(&self, pitch: u8) -> bool {
        self.rows.binary_search_by(|row| pitch.cmp(row)).is_ok()
    }

    /// The pitches whose rows are seen, in part at least, from the highest down.
    pub fn seen_rows(&self) -> impl DoubleEndedIterator<Item = Pitch> + '_ {
        let first = self.row_at(self.rect.top());
        let last = self.row_at(self.rect.bottom() - 0.1);
        self.rows[first..=last].iter().filter_map(|pitch| Pitch::new(*pitch))
    }

    /// The place of the row at a height: the nearest one outside the rows there are.
    fn row_at(&self, y: f32) -> usize {
        // Casts from float saturate, and NaN becomes 0.
        (self.row_from_y(y).floor().max(0.0) as usize).min(self.rows.len() - 1)
    }

    pub fn rect(&self) -> Rect {
        self.rect
    }

    pub fn pitches(&self) -> RangeInclusive<u8> {
        self.pitches.clone()
    }

    /// In points.
    pub fn row_height(&self) -> f32 {
        self.row_height
    }

    pub fn ticks_per_point(&self) -> f64 {
        self.ticks_per_point
    }

    pub fn x_from_tick(&self, tick: f64) -> f32 {
        self.rect.left() + ((tick - self.left) / self.ticks_per_point) as f32
    }

    /// [`Self::x_from_tick`] of a whole tick.
    pub fn x_of(&self, tick: Tick) -> f32 {
        self.x_from_tick(f64::from(tick.0))
    }

    /// May lie before the start of the piece.
    pub fn tick_from_x(&self, x: f32) -> f64 {
        self.left + f64::from(x - self.rect.left()) * self.ticks_per_point
    }

    /// The upper edge of a pitch's row; for a pitch without one, that of the next lower row.
    pub fn y_from_pitch(&self, pitch: u8) -> f32 {
        self.y_from_row(self.row_from_pitch(pitch))
    }

    /// The pitch whose row is at a height: the nearest one outside the rows there are.
    pub fn pitch_from_y(&self, y: f32) -> Pitch {
        Pitch::new(self.rows[self.row_at(y)]).unwrap_or(Pitch::MIDDLE_C)
    }

    /// Rows from the highest pitch down, fractional.
    pub fn row_from_y(&self, y: f32) -> f64 {
        self.top + f64::from((y - self.rect.top()) / self.row_height)
    }

    pub fn y_from_row(&self, row: f64) -> f32 {
        self.rect.top() + ((row - self.top) * f64::from(self.row_height)) as f32
    }

    /// The row of a pitch, from the highest one down; of one without a row the next lower one.
    pub fn row_from_pitch(&self, pitch: u8) -> f64 {
        self.rows.partition_point(|row| *row > pitch).min(self.rows.len() - 1) as f64
    }

    /// The row, fractional, where a fractional pitch has its middle.
    fn row_from_middle(&self, pitch: f64) -> f64 {
        let whole = pitch.round().clamp(0.0, 127.0);
        self.row_from_pitch(whole as u8) + (whole - pitch).clamp(-0.5, 0.5) + 0.5
    }

    /// How many ticks are seen at once.
    pub fn width_ticks(&self) -> f64 {
        f64::from(self.rect.width()) * self.ticks_per_point
    }

    /// How many ticks one can scroll through: the piece, and what is seen after it.
    pub fn all_ticks(&self) -> f64 {
        self.furthest() + self.width_ticks()
    }

    /// The tick at the left edge.
    pub fn left_tick(&self) -> f64 {
        self.left
    }

    /// Brings a tick to the left edge.
    pub fn set_left(&mut self, tick: f64) {
        self.fitted_ticks = None;
        self.left = tick;
        self.keep_in_bounds();
    }

    /// The ticks that are seen.
    pub fn ticks(&self) -> (u32, u32) {
        // Casts from float saturate.
        let right = self.tick_from_x(self.rect.right());
        (self.left.floor() as u32, right.ceil() as u32)
    }

    /// The pitches that are seen, in part at least.
    pub fn visible_pitches(&self) -> RangeInclusive<u8> {
        let lowest = self.pitch_from_y(self.rect.bottom() - 0.1).number();
        lowest..=self.pitch_from_y(self.rect.top()).number()
    }

    /// Moves the piece by so many points: to the right and down when positive.
    pub fn scroll(&mut self, delta: Vec2) {
        if delta.x != 0.0 {
            self.fitted_ticks = None;
        }
        self.left -= f64::from(delta.x) * self.ticks_per_point;
        self.top -= f64::from(delta.y / self.row_height);
        self.keep_in_bounds();
    }

    /// Brings a tick to the left edge, a little way in; near the end of the piece only so far that
    /// the last page is filled by what is left of it.
    pub fn scroll_to(&mut self, tick: f64) {
        let width = self.width_ticks();
        // Past the end, where one may go on listening, the tick must still be seen.
        let last_page = (self.end - width * 0.8).max(tick - width * 0.9);
        self.set_left((tick - width * 0.04).min(last_page));
    }

    /// Spreads time by `factor`; the tick at `x` stays there.
    pub fn zoom_time(&mut self, factor: f32, x: f32) {
        let tick = self.tick_from_x(x);
        self.fitted_ticks = None;
        self.ticks_per_point /= f64::from(factor);
        self.limit_zoom();
        self.left = tick - f64::from(x - self.rect.left()) * self.ticks_per_point;
        self.keep_in_bounds();
    }

    /// Spreads pitch by `factor`; the row at `y` stays there.
    pub fn zoom_pitch(&mut self, factor: f32, y: f32) {
        let row = self.row_from_y(y);
        self.fitted_rows = None;
        self.row_height *= factor;
        self.limit_zoom();
        self.top = row - f64::from((y - self.rect.top()) / self.row_height);
        self.keep_in_bounds();
    }

    /// Shows everything between two ticks and two pitches, as large as it goes.
    pub fn fit(&mut self, ticks: (u32, u32), pitches: RangeInclusive<u8>) {
        let middle = middle(&pitches);
        self.fitted_ticks = Some(ticks);
        self.fitted_rows = Some(FittedRows { pitches, heights: ROW_HEIGHTS });
        self.fit_ticks();
        self.fit_rows();
        self.center_pitch(middle);
    }

    /// Shows the start of the piece at a size at which one can work, with its pitches in the middle.
    pub fn show_start(&mut self, pitches: RangeInclusive<u8>) {
        let middle = middle(&pitches);
        self.ticks_per_point = self.ticks_per_quarter / 48.0;
        self.fitted_ticks = None;
        self.fitted_rows = Some(FittedRows { pitches, heights: 6.0..=16.0 });
        self.fit_rows();
        self.left = 0.0;
        self.center_pitch(middle);
    }

    /// Looks as it was looked before. What comes from a file may be any number.
    pub fn look_as(&mut self, look: &RollLook) {
        let is_sound = [look.left, look.ticks_per_point, look.middle_pitch].map(f64::is_finite);
        if is_sound.contains(&false) || !look.row_height.is_finite() {
            return;
        }
        self.ticks_per_point = look.ticks_per_point;
        self.row_height = look.row_height;
        (self.fitted_ticks, self.fitted_rows) = (None, None);
        self.limit_zoom();
        self.left = look.left;
        self.center_pitch(look.middle_pitch);
    }

    /// The pitch whose row's middle is at half the height, fractional.
    pub fn middle_pitch(&self) -> f64 {
        let row = self.row_from_y(self.rect.center().y);
        let place = self.row_at(self.rect.center().y);
        f64::from(self.rows[place]) + 0.5 - (row - place as f64)
    }

    /// How many rows lie between the first and the last of some pitches.
    fn n_rows_between(&self, pitches: &RangeInclusive<u8>) -> f64 {
        (self.row_from_pitch(*pitches.start()) - self.row_from_pitch(*pitches.end())).max(0.0)
    }

    /// Brings pitches to the middle, in lower rows where they would not all be seen.
    pub fn fit_pitches(&mut self, pitches: RangeInclusive<u8>) {
        let middle = middle(&pitches);
        let most = self.rect.height() / (self.n_rows_between(&pitches) as f32 + 3.0);
        self.row_height = self.row_height.min(most);
        self.limit_zoom();
        self.center_pitch(middle);
    }

    /// Brings the middle of a pitch's row to half the height.
    pub fn center_pitch(&mut self, pitch: f64) {
        let rows_seen = f64::from(self.rect.height() / self.row_height);
        self.top = self.row_from_middle(pitch) - rows_seen / 2.0;
        self.keep_in_bounds();
    }

    /// Scrolls just so far that the tick and the pitch are seen.
    pub fn reveal(&mut self, tick: f64, pitch: u8) {
        let x = self.x_from_tick(tick);
        if x < self.rect.left() || x > self.rect.right() - 8.0 {
            self.set_left(tick - f64::from(self.rect.width()) * 0.25 * self.ticks_per_point);
        }
        let row = self.row_from_pitch(pitch);
        let rows_seen = f64::from(self.rect.height() / self.row_height);
        self.top = self.top.clamp((row + 1.0 - rows_seen).min(row), row);
        self.keep_in_bounds();
    }

    /// How far outside the part seen a point lies, to scroll towards it while dragging.
    pub fn overshoot(&self, pos: Pos2) -> Vec2 {
        pos - pos2(
            pos.x.clamp(self.rect.left(), self.rect.right()),
            pos.y.clamp(self.rect.top(), self.rect.bottom()),
        )
    }

    fn limit_zoom(&mut self) {
        let width = f64::from(self.rect.width().max(1.0));
        let closest = self.ticks_per_quarter / WIDEST_QUARTER;
        let widest = (self.paper() * 1.25 / width).max(closest);
        self.ticks_per_point = self.ticks_per_point.clamp(closest, widest);
        self.row_height = self.row_height.clamp(*ROW_HEIGHTS.start(), *ROW_HEIGHTS.end());
    }

    /// The last tick that can be at the left edge.
    fn furthest(&self) -> f64 {
        (self.paper() - self.width_ticks() * 0.25).max(0.0)
    }

    /// Where the paper ends: a short piece has some bars more to write on.
    fn paper(&self) -> f64 {
        self.end.max(self.ticks_per_quarter * 64.0)
    }

    /// One can scroll until the end of the paper stands at a quarter of the width, which leaves
    /// room to write on; and up and down until the last row.
    fn keep_in_bounds(&mut self) {
        self.left = self.left.clamp(0.0, self.furthest());
        let n_rows = self.rows.len() as f64;
        let rows_seen = f64::from(self.rect.height() / self.row_height);
        self.top = match n_rows > rows_seen {
            true => self.top.clamp(0.0, n_rows - rows_seen),
            // Everything fits: it stands in the middle.
            false => (n_rows - rows_seen) / 2.0,
        };
    }
}

fn middle(pitches: &RangeInclusive<u8>) -> f64 {
    (f64::from(*pitches.start()) + f64::from(*pitches.end())) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::vec2;
    use proptest::prelude::*;

    fn viewport() -> Viewport {
        let mut viewport = Viewport::new(480);
        viewport.place(Rect::from_min_size(pos2(60.0, 24.0), vec2(900.0, 500.0)));
        viewport.set_content(100_000.0, 21..=108);
        viewport
    }

    proptest! {
        #[test]
        fn whatever_is_done_it_stays_in_bounds_and_finds_its_way_back(
            moves in prop::collection::vec((0u8..5, -500f32..500.0, 0.2f32..5.0), 1..40)
        ) {
            let mut viewport = viewport();
            for (kind, delta, factor) in moves {
                match kind {
                    0 => viewport.scroll(vec2(delta * 20.0, delta)),
                    1 => viewport.zoom_time(factor, 400.0 + delta),
                    2 => viewport.zoom_pitch(factor, 300.0 + delta / 4.0),
                    3 => viewport.fit((1000, 1000 + delta.abs() as u32 * 100), 40..=70),
                    _ => viewport.reveal(f64::from(delta.abs()) * 100.0, 60),
                }
                prop_assert!(viewport.ticks().0 <= 100_000);
                prop_assert!(ROW_HEIGHTS.contains(&viewport.row_height()));
                for pitch in viewport.visible_pitches() {
                    let middle = viewport.y_from_pitch(pitch) + viewport.row_height() / 2.0;
                    prop_assert_eq!(viewport.pitch_from_y(middle).number(), pitch);
                }
                let x = viewport.x_from_tick(viewport.tick_from_x(500.0));
                prop_assert!((x - 500.0).abs() < 0.05, "{}", x);
            }
        }
    }

    #[test]
    fn the_pitch_under_the_pointer_stays_while_zooming() {
        let mut viewport = viewport();
        viewport.center_pitch(60.0);
        let row = viewport.row_from_y(200.0);
        viewport.zoom_pitch(1.7, 200.0);
        assert!((viewport.row_from_y(200.0) - row).abs() < 1e-3);
    }

    #[test]
    fn fit_shows_the_whole_piece() {
        let mut viewport = viewport();
        viewport.fit((0, 100_000), 30..=90);
        assert!(viewport.ticks().1 >= 100_000);
        let seen = viewport.visible_pitches();
        assert!(seen.contains(&30) && seen.contains(&90), "{seen:?}");
    }

    #[test]
    fn what_is_in_the_middle_stays_there_when_a_panel_opens() {
        let mut viewport = viewport();
        viewport.center_pitch(60.0);
        viewport.place(Rect::from_min_size(pos2(60.0, 24.0), vec2(900.0, 260.0)));
        assert_eq!(viewport.pitch_from_y(154.0).number(), 60);
        viewport.place(Rect::from_min_size(pos2(60.0, 24.0), vec2(900.0, 500.0)));
        assert_eq!(viewport.pitch_from_y(274.0).number(), 60);
    }

    #[test]
    fn pitches_that_fit_keep_their_rows_and_others_get_lower_ones() {
        let mut viewport = viewport();
        let before = viewport.row_height();
        viewport.fit_pitches(60..=72);
        assert_eq!(viewport.row_height(), before);
        assert!((viewport.pitch_from_y(274.0).number()).abs_diff(66) <= 1);
        viewport.fit_pitches(24..=105);
        assert!(viewport.row_height() < before);
        let seen = viewport.visible_pitches();
        assert!(seen.contains(&24) && seen.contains(&105), "{seen:?}");
    }

    #[test]
    fn what_was_made_to_fit_fits_again_in_a_larger_window_until_one_zooms() {
        let rect = |width, height| Rect::from_min_size(pos2(60.0, 24.0), vec2(width, height));
        let mut viewport = viewport();
        viewport.fit((0, 100_000), 40..=60);
        let (row, per_point) = (viewport.row_height(), viewport.ticks_per_point());
        viewport.place(rect(1800.0, 900.0));
        assert!(viewport.row_height() > row * 1.5 && viewport.ticks_per_point() < per_point * 0.6);
        assert!(viewport.visible_pitches().contains(&40) && viewport.ticks().1 >= 100_000);
        viewport.zoom_time(2.0, 900.0);
        viewport.zoom_pitch(0.5, 400.0);
        let (row, per_point) = (viewport.row_height(), viewport.ticks_per_point());
        viewport.place(rect(900.0, 500.0));
        assert_eq!((viewport.row_height(), viewport.ticks_per_point()), (row, per_point));

        viewport.show_start(30..=90);
        viewport.scroll(vec2(-300.0, 0.0));
        let (row, left) = (viewport.row_height(), viewport.left_tick());
        viewport.place(rect(900.0, 900.0));
        assert!(viewport.row_height() > row * 1.5, "{}", viewport.row_height());
        assert_eq!(viewport.left_tick(), left);
    }

    #[test]
    fn the_last_page_is_no_empty_one() {
        let mut viewport = viewport();
        for tick in [90_000.0, 99_000.0, 100_000.0] {
            viewport.scroll_to(tick);
            let end = viewport.x_from_tick(100_000.0);
            assert!(viewport.x_from_tick(tick) <= viewport.rect().right(), "{tick} is seen");
            assert!(end > viewport.rect().left() + viewport.rect().width() * 0.75, "{end}");
        }
        viewport.scroll_to(50_000.0);
        assert!((viewport.x_from_tick(50_000.0) - 96.0).abs() < 1.0);
    }

    #[test]
    fn an_empty_piece_has_paper_to_scroll_through() {
        let mut viewport = viewport();
        viewport.set_content(0.0, 21..=108);
        let tick = viewport.tick_from_x(700.0);
        viewport.zoom_time(4.0, 700.0);
        assert!((viewport.tick_from_x(700.0) - tick).abs() < 0.1);
    }

    #[test]
    fn folded_rows_are_gone_and_the_middle_stays() {
        let mut viewport = viewport();
        viewport.center_pitch(60.0);
        let c_major = (0..128u32).filter(|pitch| [0, 2, 4, 5, 7, 9, 11].contains(&(pitch % 12)));
        viewport.unfold(c_major.map(|pitch| 1u128 << pitch).sum());
        assert!(!viewport.has_row(61) && viewport.has_row(62));
        assert!(viewport.seen_rows().all(|pitch| !pitch.is_black_key()));
        let middle = viewport.rect().center().y;
        assert!(viewport.pitch_from_y(middle).number().abs_diff(60) <= 1);
        let step = viewport.y_from_pitch(60) - viewport.y_from_pitch(62);
        assert!((step - viewport.row_height()).abs() < 0.01, "neighbors in the scale touch");
        // Nothing to show means everything, not an empty roll.
        viewport.unfold(0);
        assert!(viewport.has_row(61));
    }

    #[test]
    fn more_rows_above_move_nothing_that_is_seen() {
        let mut viewport = viewport();
        viewport.center_pitch(60.0);
        let before = viewport.y_from_pitch(60);
        viewport.set_content(100_000.0, 0..=127);
        assert!((viewport.y_from_pitch(60) - before).abs() < 0.01);
    }
}
