//! Why something is rare, in words.

use super::keys::Spot;
use super::model::Model;
use super::walk::{Surprise, Why};
use super::words;
use crate::detection::Class;
use crate::ids::ZoneId;
use crate::statistics::Hour;

/// Two or three sentences: what, how rare, and how much the rule has seen to know it.
pub(super) fn rare(
    class: Class,
    surprise: &Surprise,
    p: f64,
    hour: Hour,
    model: &Model,
    zones: &[(ZoneId, Vec<u8>)],
) -> String {
    let what = match surprise.why {
        Why::Here => {
            let often = model.traffic(hour);
            let rate = match often {
                o if o < 0.01 => "fewer than one in 100 such hours".into(),
                o => format!("{o:.2} in such an hour on average"),
            };
            let (from, until) = (clock(hour), clock(next(hour)));
            format!("is here on a {} between {from} and {until}, when hardly anybody is: {rate}", hour.day_name())
        }
        Why::Stands(cell) => format!("stands where {} at this hour", nobody("stands", model.stands(cell, hour))),
        Why::Walks(cell) => format!("walks where {} at this hour", nobody("walks", model.walks(cell, hour))),
        Why::Goes(cell, way) => {
            format!(
                "walks against the usual direction: {} of those who walk here go this way",
                percent(model.goes(cell, way, hour))
            )
        }
        Why::Hurries(cell, speed) => format!(
            "goes {speed:.1} body heights a second; {:.1} is usual here at this hour",
            model.usual_pace(cell, hour)
        ),
        Why::Stays(spot, dwell) => {
            let place = match spot {
                Spot::Area(_) => "here".to_string(),
                Spot::Zone(zone) => zones.get(usize::from(zone)).map_or("here".into(), |(id, _)| format!("at {id}")),
            };
            let usual = model.usual_stay(spot, hour);
            format!("has stayed {} {place}; {usual:.0} s is usual here at this hour", words::seconds(dwell))
        }
    };
    let (tracks, days) = (model.tracks(), model.days);
    format!(
        "{} {what}. Of {tracks:.0} tracks in {days} days {} were as unusual. Please review.",
        words::a(class),
        percent(p)
    )
}

fn nobody(verb: &str, share: f64) -> String {
    if share < 0.001 {
        format!("nobody {verb}")
    } else {
        format!("only {} of all {}", percent(share), verb.trim_end_matches('s'))
    }
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p < 0.095 => "less than 0.1 %".into(),
        p if p < 10.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

fn clock(hour: Hour) -> String {
    format!("{}:00", hour.of_day())
}

fn next(hour: Hour) -> Hour {
    Hour::at(hour.of_week() + 1)
}
