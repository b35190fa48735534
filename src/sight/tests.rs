use super::*;

/// A picture of bricks with some noise; `moved` columns to the left.
fn bricks(i: i64, moved: usize) -> Grey {
    let (width, height) = (80, 45);
    let mut state = i as u64 + 1;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 61) as u8
    };
    // Every brick has a shade of its own.
    let brick = |x: usize, y: usize| {
        let shade = ((x / 7) as u32 * 2_654_435 + (y / 6) as u32 * 805_459) ^ 0x5bd1;
        60 + (shade.wrapping_mul(2_246_822_519) >> 24) as u8 / 2
    };
    let pixels = (0..width * height).map(|i| brick(i % width + moved, i / width) + noise()).collect();
    Grey { width, height, pixels }
}

fn black(i: i64) -> Grey {
    Grey { pixels: bricks(i, 0).pixels.iter().map(|p| p % 8).collect(), ..bricks(0, 0) }
}

fn at(half_seconds: i64) -> MediaTime {
    MediaTime::ZERO + Span::from_millis(500 * half_seconds)
}

fn told(changes: &[Change]) -> Vec<String> {
    let told = |c: &Change| {
        format!("{} {} at {}", if c.until.is_some() { "end" } else { "start" }, c.trouble.kind(), c.since.secs_f64())
    };
    changes.iter().map(told).collect()
}

/// Looks from `range` at what `picture` gives.
fn play(sight: &mut Sight, range: std::ops::Range<i64>, picture: impl Fn(i64) -> Grey) -> Vec<Change> {
    range.flat_map(|i| sight.look(at(i), &picture(i))).collect()
}

#[test]
fn what_is_ignored_is_not_told_and_not_learned() {
    let config = TamperConfig { ignore: vec![Trouble::Dark], ..TamperConfig::default() };
    let mut sight = Sight::new("shop", config);
    assert_eq!(play(&mut sight, 0..100, |i| bricks(i, 0)), []);
    assert_eq!(play(&mut sight, 100..300, black), []);
    assert_eq!(play(&mut sight, 300..400, |i| bricks(i, 0)), []);
    assert_eq!(sight.trouble(), None);
}

#[test]
fn a_new_place_becomes_usual() {
    let mut sight = Sight::new("shop", TamperConfig { accept_after_s: 120.0, ..TamperConfig::default() });
    assert_eq!(play(&mut sight, 0..100, |i| bricks(i, 0)), []);
    let changes = play(&mut sight, 100..500, |i| bricks(i, 5));
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!((changes[0].trouble, changes[1].trouble), (Trouble::Moved, Trouble::Moved));
    assert!(changes[0].explain.contains("% of the width to the left. Please review."), "{}", changes[0].explain);
    assert!(changes[1].explain.contains("counts as usual from now on"), "{}", changes[1].explain);
    let back = play(&mut sight, 500..600, |i| bricks(i, 0));
    assert_eq!(back.len(), 1, "where it was before is another place now: {back:?}");
}

#[test]
fn nothing_is_concluded_over_a_pause() {
    let mut sight = Sight::new("shop", TamperConfig::default());
    play(&mut sight, 0..100, |i| bricks(i, 0));
    assert_eq!(play(&mut sight, 100..115, black), []);
    assert_eq!(play(&mut sight, 1000..1015, black), [], "it may have been light between");
    assert_eq!(told(&play(&mut sight, 1015..1030, black)), ["start camera_dark at 500"]);
    assert_eq!(told(&sight.finish()), ["end camera_dark at 500"]);
    assert_eq!(sight.finish(), []);
    assert_eq!(play(&mut sight, 0..100, |i| bricks(i, 0)), [], "what was learned before still holds");
    assert_eq!(told(&play(&mut sight, 100..150, |i| bricks(i, 5))), ["start camera_moved at 53"]);
}

#[test]
fn stills_do_not_freeze() {
    let mut sight = Sight::new("shop", TamperConfig::default());
    assert_eq!(play(&mut sight, 0..200, |_| bricks(1, 0)), [], "nobody has ever seen it change");
    assert_eq!(play(&mut sight, 200..210, |i| bricks(i, 0)), []);
    assert_eq!(play(&mut sight, 210..500, |_| bricks(1, 0)), [], "it stood still for long before");
    let mut sight = Sight::new("shop", TamperConfig::default());
    play(&mut sight, 0..100, |i| bricks(i, 0));
    assert_eq!(told(&play(&mut sight, 100..200, |_| bricks(1, 0))), ["start camera_frozen at 50"]);
    assert_eq!(
        told(&sight.look(at(200), &bricks(3, 0))),
        ["end camera_frozen at 50"],
        "the first new picture is enough"
    );
}

#[test]
fn another_size_is_another_picture() {
    let mut sight = Sight::new("shop", TamperConfig::default());
    play(&mut sight, 0..100, |i| bricks(i, 0));
    let other = |i| Grey { width: 45, height: 80, ..bricks(i, 0) };
    assert_eq!(play(&mut sight, 100..300, other), []);
}

#[test]
fn a_camera_that_gives_a_picture_now_and_then_is_watched_too() {
    let mut sight = Sight::new("shop", TamperConfig::default());
    // A little late each time, as pictures are that are asked for every five seconds.
    let late = |i: i64| MediaTime::ZERO + Span::from_millis(5_040 * i);
    let mut look = |i: i64, grey: Grey| sight.look(late(i), &grey);
    assert_eq!((0..40).flat_map(|i| look(i, bricks(i, 0))).collect::<Vec<_>>(), []);
    assert_eq!(told(&(40..50).flat_map(|i| look(i, black(i))).collect::<Vec<_>>()), ["start camera_dark at 201.6"]);
    assert_eq!(told(&(50..60).flat_map(|i| look(i, bricks(i, 0))).collect::<Vec<_>>()), ["end camera_dark at 201.6"]);
    // An outage is one here as well.
    assert_eq!((60..62).flat_map(|i| look(i, black(i))).collect::<Vec<_>>(), []);
    assert_eq!((80..82).flat_map(|i| look(i, black(i))).collect::<Vec<_>>(), [], "it may have been light between");
}
