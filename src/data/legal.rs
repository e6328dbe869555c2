//! Which names of devices and series no IoTDB takes.
//!
//! ```text
//!  root.plant.`boiler 7`.d-1      taken: nodes between dots, in back quotes or not
//!  "", d1, root, root..d, root.d. not taken: below `root`, and no node is empty
//!  root.`d1, root.d*, root.\0     not taken: an open quote, and outside quotes a wildcard or a control character
//! ```
//!
//! This is less than IoTDB's own grammar of paths refuses (`PathUtils`, `IoTDBSqlParser.g4`): versions differ, and what one
//! of them takes is not refused here.

use super::path::nodes;

/// Whether a device of the tree model may have this path.
pub fn is_device(path: &str) -> bool {
    let mut nodes = nodes(path);
    let has_root = nodes.next().is_some_and(|root| root.eq_ignore_ascii_case("root"));
    let mut below = 0_usize;
    has_root
        && nodes.all(|node| {
            below += 1;
            is_node(node)
        })
        && below > 0
}

/// Whether a series of such a device may have this name. A dot in it is left to whoever reads it.
pub fn is_measurement(name: &str) -> bool {
    is_node(name)
}

/// Whether a value of type `DATE` is a day of the calendar: yyyymmdd, of a year of four digits.
pub const fn is_day(value: i32) -> bool {
    let (year, month, day) = (value / 10_000, value / 100 % 100, value % 100);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    value >= 10_000_101 && value <= 99_991_231 && day >= 1 && day <= last
}

fn is_node(node: &str) -> bool {
    let mut is_quoted = false;
    let is_legal = node.chars().all(|letter| {
        is_quoted ^= letter == '`';
        is_quoted || letter != '*' && !letter.is_control()
    });
    is_legal && !is_quoted && !node.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for day in [10_000_101, 19_700_101, 20_000_229, 20_240_229, 99_991_231] {
            assert!(is_day(day), "{day}");
        }
        for day in
            [-1, 0, i32::MIN, i32::MAX, 9_991_231, 19_000_229, 20_230_229, 20_231_301, 20_230_431]
        {
            assert!(!is_day(day), "{day}");
        }
        assert!(!is_day(20_230_010) && !is_day(20_230_100) && !is_day(99_999_999));
    }

    #[test]
    fn what_an_iotdb_may_take_is_legal() {
        for path in [
            "root.d",
            "root.sg.d1",
            "root.`a.b`.d",
            "root.`*`.`\u{1}`.d",
            "root.`a``b`.d",
            "root.a-b.1.2_3.:@#${}",
            "root.\u{6c34}\u{7535}.\u{e9}",
            "ROOT.sg.d",
        ] {
            assert!(is_device(path), "{path}");
        }
        assert!(is_measurement("s 1") && is_measurement("`s.*`") && is_measurement("a.b"));
    }

    #[test]
    fn what_no_iotdb_takes_is_not() {
        for path in [
            "",
            ".",
            "x",
            "d1",
            "root",
            "root.",
            "root..b",
            "root.b.",
            ".root.b",
            "rooted.d",
            "root.**",
            "root.*.d",
            "root.d*",
            "root.\0",
            "root.a\nb",
            "root.`a",
            "root.a`.b",
        ] {
            assert!(!is_device(path), "{path:?}");
        }
        assert!(!is_measurement("") && !is_measurement("*") && !is_measurement("s\0"));
    }
}
