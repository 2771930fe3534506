//! Layout of a dashboard: panels from left to right, a new line where one would not fit, each section under
//! its title.

use crate::panel::{Dashboard, Panel};

/// Columns of a Grafana dashboard.
const COLUMNS: u64 = 24;
/// Height of a section's title.
const TITLE_HEIGHT: u64 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) x: u64,
    pub(crate) y: u64,
    pub(crate) width: u64,
    pub(crate) height: u64,
}

/// Title or panel on a dashboard.
pub(crate) enum Item<'a> {
    Title(&'static str),
    Panel(&'a Panel),
}

/// Returns everything on a dashboard with its place, from the top.
pub(crate) fn items(dashboard: &Dashboard) -> Vec<(Place, Item<'_>)> {
    let (mut items, mut top) = (Vec::new(), 0);
    for section in &dashboard.sections {
        let title = Place { x: 0, y: top, width: COLUMNS, height: TITLE_HEIGHT };
        items.push((title, Item::Title(section.title)));
        top += TITLE_HEIGHT;
        let mut left = 0;
        for panel in &section.panels {
            if left + panel.width > COLUMNS {
                (left, top) = (0, top + section.height);
            }
            let place = Place { x: left, y: top, width: panel.width, height: section.height };
            items.push((place, Item::Panel(panel)));
            left += panel.width;
        }
        top += section.height;
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all;
    use crate::panel::Kind;

    /// Width of the narrowest window supported, without Grafana's margins.
    const WINDOW_PIXELS: u64 = 1_280;
    /// Width of a character of a panel's title, and of the rest of the title: margins and the sign of the
    /// description.
    const CHARACTER_PIXELS: u64 = 8;
    const BESIDE_TITLE_PIXELS: u64 = 40;

    fn overlap(one: Place, other: Place) -> bool {
        one.x < other.x + other.width
            && other.x < one.x + one.width
            && one.y < other.y + other.height
            && other.y < one.y + one.height
    }

    #[test]
    fn panels_fill_the_columns_and_lie_beside_each_other() {
        for dashboard in all() {
            let items = items(&dashboard);
            for (index, (place, _)) in items.iter().enumerate() {
                assert!(place.width > 0 && place.x + place.width <= COLUMNS, "{}: {place:?}", dashboard.name);
                for (other, _) in &items[..index] {
                    assert!(!overlap(*place, *other), "{}: {place:?} and {other:?}", dashboard.name);
                }
                let in_line: u64 =
                    items.iter().filter(|(at, _)| at.y == place.y).map(|(at, _)| at.width).sum();
                assert_eq!(in_line, COLUMNS, "{}: the line at {} has a gap", dashboard.name, place.y);
            }
        }
    }

    #[test]
    fn titles_fit_over_their_panels() {
        for dashboard in all() {
            for (place, item) in items(&dashboard) {
                let Item::Panel(panel) = item else { continue };
                let room = place.width * WINDOW_PIXELS / COLUMNS - BESIDE_TITLE_PIXELS;
                let title = panel.title.chars().count() as u64 * CHARACTER_PIXELS;
                assert!(title <= room, "{}: {} needs {title} of {room} pixels", dashboard.name, panel.title);
                let height_min = if panel.kind == Kind::Number { 4 } else { 7 };
                assert!(place.height >= height_min, "{}: {} is too low", dashboard.name, panel.title);
            }
        }
    }
}
