//! A line plot as SVG: axes with round ticks, a legend, one line per series.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 12.0;

/// How values lie on the y axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

/// One line.
pub(super) struct Series {
    pub(super) name: &'static str,
    /// Its colour: a class of the page's style.
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot.
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) scale: Scale,
    pub(super) series: Vec<Series>,
}

/// Where values lie on the picture.
struct Frame {
    x_end: f64,
    y_from: f64,
    y_to: f64,
    scale: Scale,
}

impl Plot {
    /// Writes it as a section of a page.
    pub(super) fn write(&self, page: &mut String) {
        let frame = self.frame();
        let _ = write!(
            page,
            "<section><h2>{}</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            self.title, self.title
        );
        self.axes(page, &frame);
        for series in &self.series {
            let mut path = String::new();
            for (x, y) in series.points.iter().filter(|(_, y)| frame.scale == Scale::Linear || *y > 0.0) {
                let command = if path.is_empty() { 'M' } else { 'L' };
                let _ = write!(path, "{command}{:.1} {:.1}", frame.x(*x), frame.y(*y));
            }
            let _ = write!(page, "<path class=\"line {}\" d=\"{path}\"/>", series.class);
        }
        page.push_str("</svg><p class=\"legend\">");
        for series in &self.series {
            let _ = write!(page, "<span class=\"{}\">{}</span>", series.class, series.name);
        }
        page.push_str("</p></section>");
    }

    fn frame(&self) -> Frame {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x_end = points().map(|(x, _)| *x).fold(1.0, f64::max);
        let most = points().map(|(_, y)| *y).fold(0.001, f64::max);
        let least = points().map(|(_, y)| *y).filter(|y| *y > 0.0).fold(most, f64::min);
        match self.scale {
            Scale::Linear => Frame { x_end, y_from: 0.0, y_to: most * 1.05, scale: self.scale },
            Scale::Logarithmic => Frame {
                x_end,
                y_from: 10_f64.powf(least.log10().floor()),
                y_to: 10_f64.powf(most.log10().floor() + 1.0),
                scale: self.scale,
            },
        }
    }

    fn axes(&self, page: &mut String, frame: &Frame) {
        for tick in frame.y_ticks() {
            let y = frame.y(tick);
            let _ = write!(
                page,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" class=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                number(tick)
            );
        }
        for tick in ticks(frame.x_end, 8.0) {
            let x = frame.x(tick);
            let _ = write!(
                page,
                "<text x=\"{x:.1}\" y=\"{:.1}\" class=\"middle\">{}</text>",
                HEIGHT - BOTTOM + 16.0,
                number(tick)
            );
        }
        let _ = write!(
            page,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"middle\">{}</text><text transform=\"translate(14 {:.1}) rotate(-90)\" \
             class=\"middle\">{}</text>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 6.0,
            self.x,
            f64::midpoint(TOP, HEIGHT - BOTTOM),
            self.y
        );
    }
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * value / self.x_end
    }

    fn y(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => value / self.y_to,
            Scale::Logarithmic => (value / self.y_from).ln() / (self.y_to / self.y_from).ln(),
        };
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * part
    }

    fn y_ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => ticks(self.y_to, 5.0),
            Scale::Logarithmic => {
                let mut all = vec![self.y_from];
                while all.last().is_some_and(|last| *last < self.y_to * 0.99) {
                    all.push(all.last().map_or(1.0, |last| last * 10.0));
                }
                all
            }
        }
    }
}

/// Multiples of a round number, about `count` of them, from 0 to `end`.
fn ticks(end: f64, count: f64) -> Vec<f64> {
    let rough = end / count;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|by| by * power).find(|step| *step >= rough).unwrap_or(rough);
    (0..).map(|number| f64::from(number) * step).take_while(|tick| *tick <= end * 1.001).collect()
}

fn number(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{}k", value / 1_000.0),
        value => format!("{}", (value * 1_000.0).round() / 1_000.0),
    }
}
