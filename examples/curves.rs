//! Draws the curves of runs as one SVG picture: perplexity by epoch on a logarithmic axis.
//!
//! ```text
//! cargo run --example curves -- OUT.svg TITLE RUN...
//! ```
//!
//! Each RUN is a run folder. Its training curve is dashed, its held-out one solid with a ring
//! at the best epoch. The baselines of the first run are level lines. The picture brings its own
//! background and follows the reader's light or dark scheme.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// In SVG units; the plot lies inside the margins, the legend at its right.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;

const STYLE: &str = "text{font:13px sans-serif;fill:#24292f}.title{font-size:16px}\
    .paper{fill:#fff}.grid{stroke:#d8dee4}.baseline{stroke:#57606a;stroke-dasharray:2 4}\
    .curve{fill:none;stroke-width:2}.train{stroke-dasharray:6 4;stroke-width:1.5}\
    .c0{stroke:#0969da}.c1{stroke:#bc4c00}.c2{stroke:#1a7f37}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#161b22}.grid{stroke:#30363d}\
    .baseline{stroke:#9aa4ae}.c0{stroke:#58a6ff}.c1{stroke:#f0883e}.c2{stroke:#56d364}}";
const N_COLORS: usize = 3;

#[derive(Deserialize)]
struct Epoch {
    epoch: f64,
    train_perplexity: f64,
    valid_perplexity: f64,
}

#[derive(Deserialize)]
struct RunFile {
    baselines: Baselines,
}

#[derive(Deserialize)]
struct Baselines {
    unigram_perplexity: f64,
    mixed_perplexity: f64,
}

struct Run {
    name: String,
    epochs: Vec<Epoch>,
    baselines: Baselines,
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: curves OUT.svg TITLE RUN...";
    let out = args.next().context(usage)?;
    let title = args.next().context(usage)?;
    let runs = args.map(|folder| read_run(Path::new(&folder))).collect::<Result<Vec<_>, _>>()?;
    ensure!(!runs.is_empty(), usage);
    std::fs::write(&out, picture(&title, &runs)).with_context(|| format!("can't write {out}"))
}

fn read_run(folder: &Path) -> anyhow::Result<Run> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
    };
    let epochs = read("metrics.jsonl")?.lines().map(parsed).collect::<Result<Vec<Epoch>, _>>()?;
    ensure!(!epochs.is_empty(), "{} has no epochs yet", folder.display());
    let RunFile { baselines } = parsed(&read("run.json")?)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Run { name, epochs, baselines })
}

fn parsed<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).context("not what a run folder holds")
}

/// Where epochs and perplexities lie in the picture.
struct Axes {
    last_epoch: f64,
    /// Decades: powers of ten below and above everything drawn.
    low: f64,
    high: f64,
}

impl Axes {
    fn around(runs: &[Run]) -> Self {
        let epochs = || runs.iter().flat_map(|run| &run.epochs);
        let drawn = epochs()
            .flat_map(|epoch| [epoch.train_perplexity, epoch.valid_perplexity])
            .chain(runs.iter().map(|run| run.baselines.unigram_perplexity))
            .chain(runs.iter().map(|run| run.baselines.mixed_perplexity));
        let (low, high) = drawn.fold((f64::MAX, 1.0), |(low, high): (f64, f64), perplexity| {
            (low.min(perplexity), high.max(perplexity))
        });
        let last_epoch = epochs().map(|epoch| epoch.epoch).fold(2.0, f64::max);
        let (low, high) = (low.log10().floor(), high.log10().ceil());
        Self { last_epoch, low, high: high.max(low + 1.0) }
    }

    fn x(&self, epoch: f64) -> f64 {
        LEFT + (epoch - 1.0) / (self.last_epoch - 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, perplexity: f64) -> f64 {
        let share = (perplexity.log10() - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }
}

fn picture(title: &str, runs: &[Run]) -> String {
    let axes = Axes::around(runs);
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' \
         aria-label='{0}'>\n<style>{STYLE}</style>\n<rect class='paper' width='100%' \
         height='100%'/>\n",
        escaped(title)
    );
    text(&mut svg, LEFT, 26.0, "title", "start", title);
    grid(&mut svg, &axes);
    for (idx, run) in runs.iter().enumerate() {
        curves(&mut svg, &axes, idx, run);
        let class = |kind: &str| format!("curve {kind} c{}", idx % N_COLORS);
        legend(&mut svg, 2 * idx, &class("held-out"), &format!("{}, held out", run.name));
        legend(&mut svg, 2 * idx + 1, &class("train"), &format!("{}, training", run.name));
    }
    let Baselines { unigram_perplexity, mixed_perplexity } = runs[0].baselines;
    let named = [("counting chords", unigram_perplexity), ("with repeats", mixed_perplexity)];
    for (idx, (name, perplexity)) in named.into_iter().enumerate() {
        let y = axes.y(perplexity);
        line(&mut svg, "baseline", (LEFT, y), (WIDTH - RIGHT, y));
        legend(&mut svg, 2 * runs.len() + idx, "baseline", &format!("{perplexity:.0} {name}"));
    }
    svg + "</svg>\n"
}

fn grid(svg: &mut String, axes: &Axes) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let digits: &[u32] = if axes.high - axes.low > 2.0 { &[1] } else { &[1, 2, 5] };
    for decade in axes.low as i32..=axes.high as i32 {
        for &digit in digits.iter().filter(|digit| **digit == 1 || decade < axes.high as i32) {
            let y = axes.y(f64::from(digit) * 10f64.powi(decade));
            line(svg, "grid", (LEFT, y), (right, y));
            text(svg, LEFT - 8.0, y + 4.0, "", "end", &axis_label(digit, decade));
        }
    }
    let step = (axes.last_epoch / 10.0).ceil() as usize;
    let later = (step..=axes.last_epoch as usize).step_by(step).filter(|epoch| *epoch > 1);
    for epoch in std::iter::once(1).chain(later) {
        let x = axes.x(epoch as f64);
        line(svg, "grid", (x, TOP), (x, bottom));
        text(svg, x, bottom + 18.0, "", "middle", &epoch.to_string());
    }
    let middle = (LEFT + right) / 2.0;
    text(svg, middle, HEIGHT - 10.0, "", "middle", "epoch (perplexity on a logarithmic axis)");
}

/// `digit` × 10 to the power of `exponent`; from 10⁴ on written as a power.
fn axis_label(digit: u32, exponent: i32) -> String {
    let superscript = |digit: char| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit.to_digit(10)? as usize);
    if (0..4).contains(&exponent) {
        return (digit * 10u32.pow(exponent.unsigned_abs())).to_string();
    }
    let power: String = exponent.to_string().chars().filter_map(superscript).collect();
    let factor = if digit == 1 { String::new() } else { format!("{digit} × ") };
    format!("{factor}10{power}")
}

fn curves(svg: &mut String, axes: &Axes, idx: usize, run: &Run) {
    let color = idx % N_COLORS;
    for (kind, perplexity) in [
        ("train", (|epoch| epoch.train_perplexity) as fn(&Epoch) -> f64),
        ("held-out", |epoch| epoch.valid_perplexity),
    ] {
        let points: Vec<String> = (run.epochs.iter())
            .map(|epoch| format!("{:.1},{:.1}", axes.x(epoch.epoch), axes.y(perplexity(epoch))))
            .collect();
        let points = points.join(" ");
        let _ = writeln!(svg, "<polyline class='curve {kind} c{color}' points='{points}'/>");
    }
    let best = run.epochs.iter().min_by(|a, b| a.valid_perplexity.total_cmp(&b.valid_perplexity));
    if let Some(best) = best {
        let (x, y) = (axes.x(best.epoch), axes.y(best.valid_perplexity));
        let _ = writeln!(svg, "<circle class='curve c{color}' cx='{x:.1}' cy='{y:.1}' r='5'/>");
        let label = format!("{:.1}", best.valid_perplexity);
        text(svg, x, y - 10.0, "", "middle", &label);
    }
}

fn legend(svg: &mut String, row: usize, class: &str, words: &str) {
    let (left, y) = (WIDTH - RIGHT + 8.0, TOP + 4.0 + 20.0 * row as f64);
    line(svg, class, (left, y), (left + 28.0, y));
    text(svg, left + 34.0, y + 4.0, "", "start", words);
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        svg,
        "<line class='{class}' x1='{x1:.1}' y1='{y1:.1}' x2='{x2:.1}' y2='{y2:.1}'/>"
    );
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, anchor: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        svg,
        "<text class='{class}' x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{words}</text>"
    );
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}
