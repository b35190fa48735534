use super::*;
use crate::event::Direction;
use crate::geometry::BBox;
use crate::time::Span;
use proptest::prelude::*;

fn seen(id: u64, at: MediaTime, x: f32, y: f32, state: TrackState) -> Track {
    let bbox = BBox::new(x - 0.05, y - 0.2, x + 0.05, y);
    Track { id: TrackId(id), class: Class::PERSON, score: 0.9, bbox, born: MediaTime::ZERO, seen: at, state }
}

fn ms(ms: i64) -> MediaTime {
    MediaTime::ZERO + Span::from_millis(ms)
}

fn line(points: &[[f32; 2]]) -> BTreeMap<LineId, LineConfig> {
    [(LineId::new("door"), LineConfig { points: points.to_vec(), classes: None })].into()
}

fn zone(classes: Option<&str>) -> BTreeMap<ZoneId, ZoneConfig> {
    let polygon = vec![[0.2, 0.0], [0.6, 0.0], [0.6, 1.0], [0.2, 1.0]];
    let classes = classes.map(|class| vec![class.to_string()]);
    [(ZoneId::new("shelf"), ZoneConfig { polygon, kind: Default::default(), classes, watch_goods: false, pose: false })]
        .into()
}

/// In and out, when one track is seen at these feet, a tenth of a second apart, and then no more.
fn crossings(points: &[[f32; 2]], feet: &[(f32, f32)]) -> (u64, u64) {
    let mut scene = Scene::new(&BTreeMap::new(), &line(points));
    for (i, &(x, y)) in feet.iter().enumerate() {
        let at = ms(100 * i as i64);
        scene.observe(at, 16.0 / 9.0, &[seen(1, at, x, y, TrackState::Confirmed)]);
    }
    scene.clear();
    let totals = &scene.totals()[&LineId::new("door")];
    (totals.into, totals.out)
}

#[test]
fn who_crosses() {
    let door = [[0.2, 0.5], [0.8, 0.5]];
    let corner = [[0.2, 0.5], [0.5, 0.5], [0.5, 0.9]];
    type Row<'a> = (&'a str, &'a [[f32; 2]], &'a [(f32, f32)], (u64, u64));
    let rows: [Row<'_>; 11] = [
        ("down in one step", &door, &[(0.5, 0.1), (0.5, 0.9)], (1, 0)),
        ("up", &door, &[(0.5, 0.9), (0.5, 0.1)], (0, 1)),
        ("by a line drawn the other way round", &[[0.8, 0.5], [0.2, 0.5]], &[(0.5, 0.1), (0.5, 0.9)], (0, 1)),
        ("beside the line", &door, &[(0.9, 0.1), (0.9, 0.9)], (0, 0)),
        ("one foot point exactly on the line", &door, &[(0.5, 0.1), (0.5, 0.5), (0.5, 0.9)], (1, 0)),
        ("to the line and back", &door, &[(0.5, 0.1), (0.5, 0.5), (0.5, 0.1)], (0, 0)),
        ("along the line", &door, &[(0.1, 0.5), (0.9, 0.5)], (0, 0)),
        ("around the end and back over it", &door, &[(0.9, 0.1), (0.9, 0.9), (0.5, 0.9), (0.5, 0.1)], (0, 1)),
        (
            "twice in, around the end between",
            &door,
            &[(0.5, 0.1), (0.5, 0.9), (0.9, 0.9), (0.9, 0.1), (0.5, 0.1), (0.5, 0.9)],
            (2, 0),
        ),
        ("through a corner point", &corner, &[(0.6, 0.4), (0.4, 0.6)], (1, 0)),
        ("past a corner, cutting both pieces", &corner, &[(0.4, 0.4), (0.45, 0.6), (0.6, 0.6)], (1, 1)),
    ];
    for (title, points, feet, expected) in rows {
        assert_eq!(crossings(points, feet), expected, "{title}");
    }
}

#[test]
fn what_was_done_before_confirmation_counts_when_it_comes() {
    let door = line(&[[0.0, 0.5], [1.0, 0.5]]);
    for (state, expected) in [(TrackState::Confirmed, 1), (TrackState::Tentative, 0)] {
        let mut scene = Scene::new(&BTreeMap::new(), &door);
        assert_eq!(scene.observe(ms(0), 1.0, &[seen(1, ms(0), 0.5, 0.4, TrackState::Tentative)]), []);
        assert_eq!(scene.observe(ms(33), 1.0, &[seen(1, ms(33), 0.5, 0.6, TrackState::Tentative)]), []);
        let facts = scene.observe(ms(66), 1.0, &[seen(1, ms(66), 0.5, 0.8, state)]);
        assert_eq!(scene.totals()[&LineId::new("door")].into, expected);
        assert_eq!(facts.len(), 2 * expected as usize, "appeared and crossed: {facts:?}");
        assert_eq!(scene.clear().len(), expected as usize, "gone");
    }
}

#[test]
fn a_visit_lasts_a_second() {
    let mut scene = Scene::new(&zone(None), &BTreeMap::new());
    let mut log = Vec::new();
    for i in 0..=22 {
        let x = if (2..=14).contains(&i) { 0.4 } else { 0.8 };
        let at = ms(100 * i);
        let facts = scene.observe(at, 1.0, &[seen(1, at, x, 0.5, TrackState::Confirmed)]);
        log.extend(facts.into_iter().map(|fact| (100 * i, fact.at.micros() / 1000, fact.what)));
    }
    let shelf = ZoneId::new("shelf");
    let expected = [
        (0, 0, What::Appeared),
        (700, 200, What::Entered(shelf.clone())),
        (1200, 1200, What::VisitStarted(shelf.clone())),
        (2000, 1400, What::Left { zone: shelf.clone(), dwell: Span::from_millis(1200) }),
    ];
    assert_eq!(log, expected);
    let stats = &scene.zones()[&shelf];
    assert_eq!((stats.now, stats.visits, stats.dwell_p50_s), (0, 1, Some(1.2)));
}

#[test]
fn zones_that_look_at_other_classes_see_nobody() {
    let mut scene = Scene::new(&zone(Some("car")), &BTreeMap::new());
    for i in 0..30 {
        scene.observe(ms(100 * i), 1.0, &[seen(1, ms(100 * i), 0.4, 0.5, TrackState::Confirmed)]);
    }
    assert_eq!(scene.zones()[&ZoneId::new("shelf")], ZoneStats::default());
}

#[test]
fn who_rests_has_stopped_until_moving_again() {
    let mut scene = Scene::new(&BTreeMap::new(), &BTreeMap::new());
    let mut log = Vec::new();
    for i in 0..70 {
        let x = if i < 10 {
            0.1 + 0.05 * i as f32
        } else if i < 40 {
            0.6 + 0.01 * (i % 2) as f32
        } else {
            0.9
        };
        let facts = scene.observe(ms(100 * i), 1.0, &[seen(1, ms(100 * i), x, 0.5, TrackState::Confirmed)]);
        log.extend(facts.into_iter().map(|fact| (fact.at.micros() / 1000, fact.what)));
    }
    assert_eq!(log, [(0, What::Appeared), (1000, What::Stopped), (4000, What::Moving), (4000, What::Stopped)]);
}

#[test]
fn objects_are_counted_once_and_at_their_most() {
    let mut scene = Scene::new(&BTreeMap::new(), &BTreeMap::new());
    let step = |scene: &mut Scene, i: i64, states: &[(u64, TrackState)]| {
        let tracks: Vec<Track> = states
            .iter()
            .map(|&(id, state)| seen(id, if state == TrackState::Lost { ms(0) } else { ms(i) }, 0.5, 0.5, state))
            .collect();
        scene.observe(ms(i), 1.0, &tracks);
        scene.present()[&Class::PERSON]
    };
    use TrackState::*;
    assert_eq!(step(&mut scene, 0, &[(1, Confirmed), (2, Confirmed), (3, Confirmed)]), 3);
    assert_eq!(step(&mut scene, 100, &[(1, Confirmed), (2, Lost), (3, Lost), (4, Tentative)]), 1);
    assert_eq!(step(&mut scene, 200, &[(1, Confirmed), (2, Confirmed)]), 2);
    scene.clear();
    assert_eq!(scene.present()[&Class::PERSON], 0);
    assert_eq!(scene.objects()[&Class::PERSON], ObjectTotals { unique: 3, max_at_once: 3 });
}

/// The line of these properties is the graph of a function over x: below it is its right hand.
fn graph(heights: &[f32]) -> Vec<[f32; 2]> {
    let last = heights.len() - 1;
    heights.iter().enumerate().map(|(i, &y)| [-0.5 + 2.0 * i as f32 / last as f32, y]).collect()
}

fn depth(line: &[[f32; 2]], (x, y): (f32, f32)) -> f32 {
    let pair = line.windows(2).find(|pair| x <= pair[1][0]).unwrap();
    let part = (x - pair[0][0]) / (pair[1][0] - pair[0][0]);
    y - (pair[0][1] + part * (pair[1][1] - pair[0][1]))
}

proptest! {
    #[test]
    fn in_less_out_is_the_change_of_side(
        heights in prop::collection::vec(0.2f32..0.8, 2..7),
        feet in prop::collection::vec((0.0f32..1.0, 0.0f32..1.0), 2..40),
    ) {
        let line = graph(&heights);
        let below = |foot: (f32, f32)| i64::from(depth(&line, foot) > 0.0);
        let (first, last) = (feet[0], feet[feet.len() - 1]);
        // A hair's breadth from the line the two computations may differ.
        prop_assume!(depth(&line, first).abs() > 1e-4 && depth(&line, last).abs() > 1e-4);
        let (into, out) = crossings(&line, &feet);
        prop_assert_eq!(into as i64 - out as i64, below(last) - below(first));
    }

    #[test]
    fn trembling_counts_at_most_once(
        steps in prop::collection::vec((0.4f32..0.6, -1000i16..=1000), 1..60),
        down: bool,
    ) {
        let feet = steps.into_iter().map(|(x, millionths)| (x, 0.5 + f32::from(millionths) * 1e-6));
        let end = if down { 0.9 } else { 0.1 };
        let feet: Vec<_> = [(0.5, 0.1)].into_iter().chain(feet).chain([(0.5, end)]).collect();
        prop_assert_eq!(crossings(&[[0.0, 0.5], [1.0, 0.5]], &feet), (u64::from(down), 0));
    }

    #[test]
    fn how_often_one_looks_does_not_matter(
        feet in prop::collection::vec((0.0f32..1.0, prop_oneof![0.0f32..0.45, 0.55f32..1.0]), 2..12),
    ) {
        // Where the way bends it is clear of the line, and both see it; what is between only one does.
        let finely: Vec<_> = feet
            .windows(2)
            .flat_map(|pair| {
                let (from, to) = (pair[0], pair[1]);
                let part = |i| i as f32 / 8.0;
                (0..8).map(move |i| (from.0 + (to.0 - from.0) * part(i), from.1 + (to.1 - from.1) * part(i)))
            })
            .chain([feet[feet.len() - 1]])
            .collect();
        let line = [[-1.0, 0.5], [2.0, 0.5]];
        prop_assert_eq!(crossings(&line, &feet), crossings(&line, &finely));
    }
}

#[test]
fn directions_are_those_of_the_contract() {
    let mut scene = Scene::new(&BTreeMap::new(), &line(&[[0.1, 0.6], [0.9, 0.6]]));
    scene.observe(ms(0), 1.0, &[seen(1, ms(0), 0.5, 0.5, TrackState::Confirmed)]);
    let facts = scene.observe(ms(100), 1.0, &[seen(1, ms(100), 0.5, 0.7, TrackState::Confirmed)]);
    assert!(matches!(facts[..], [Fact { what: What::Crossed(_, Direction::In), .. }]), "downwards is in: {facts:?}");
}
