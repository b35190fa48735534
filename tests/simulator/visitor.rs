//! Who comes and what they do: scripts that are written like stories, with the truth about them.

use crate::chance::Chance;
use crate::shop::box_of;
use watchpost::detection::Class;
use watchpost::geometry::BBox;

/// What happened, by the kind of rule that has to notice it. The truth is what the words of a rule mean, not whether
/// somebody stole.
#[derive(Debug, Clone)]
pub struct Incident {
    pub kind: &'static str,
    /// By whom; `None` for a matter of the place.
    pub who: Option<usize>,
    pub from: f64,
    pub until: f64,
}

/// Somebody or something on a way through the shop.
pub struct Visitor {
    pub class: Class,
    height: f64,
    width: f64,
    /// Second, x, y; straight between.
    way: Vec<[f64; 3]>,
}

impl Visitor {
    pub fn last(&self) -> f64 {
        self.way[self.way.len() - 1][0]
    }
    /// Where on the floor; `None` while not in the shop.
    pub fn place(&self, at: f64) -> Option<[f64; 2]> {
        let next = self.way.partition_point(|point| point[0] <= at);
        if next == 0 || next == self.way.len() {
            return None;
        }
        let ([t1, x1, y1], [t2, x2, y2]) = (self.way[next - 1], self.way[next]);
        let part = (at - t1) / (t2 - t1);
        Some([x1 + (x2 - x1) * part, y1 + (y2 - y1) * part])
    }
    pub fn bbox(&self, at: f64) -> Option<BBox> {
        let [x, y] = self.place(at)?;
        box_of(x, y, self.height, self.width)
    }
}

/// Everybody of a day, by when they come, and what they did.
#[derive(Default)]
pub struct Day {
    pub visitors: Vec<Visitor>,
    pub incidents: Vec<Incident>,
    pub end: f64,
}

const SNACKS: [f64; 4] = [3.3, 4.3, 4.7, 5.2];
const WINES: [f64; 4] = [6.8, 6.3, 8.2, 7.2];
const SPIRITS: [f64; 4] = [2.9, 7.3, 4.1, 8.2];
const WALKS: f64 = 1.2;

impl Day {
    pub fn new(chance: &mut Chance, visits: usize) -> Day {
        let mut day = Day::default();
        type Script = fn(&mut Day, &mut Chance, f64);
        let scripts: [(u32, Script); 16] = [
            (18, browse),
            (8, pass_through),
            (26, buy),
            (4, sweep),
            (4, conceal),
            (5, loiter),
            (5, come_again),
            (5, split),
            (5, pair),
            (4, restock),
            (3, child),
            (4, run),
            (4, wrong_way),
            (3, tailgate),
            (3, staff),
            (2, suitcase),
        ];
        let weights = scripts.map(|(weight, _)| weight);
        let mut at = 5.0;
        for visit in 0..visits {
            if visit % 25 == 12 {
                queue(&mut day, chance, at);
                at += 90.0;
            }
            scripts[chance.weighted(&weights)].1(&mut day, chance, at);
            at += chance.between(8.0, 26.0);
        }
        day.end = day.visitors.iter().map(Visitor::last).fold(at, f64::max) + 5.0;
        day.cashier();
        day.street(chance);
        day
    }

    fn cashier(&mut self) {
        let mut way = Way::at(0.0, [9.7, 3.1]);
        while way.now() + 330.0 < self.end {
            way = way.stay(240.0);
            let gone = way.now();
            way = way.walk([9.7, 5.5], WALKS).stay(60.0).walk([9.7, 3.1], WALKS);
            self.incidents.push(Incident { kind: "unattended", who: None, from: gone + 28.0, until: way.now() });
        }
        self.comes(way.stay(400.0));
    }

    fn street(&mut self, chance: &mut Chance) {
        let mut at = 20.0;
        for i in 0.. {
            if at > self.end - 120.0 {
                break;
            }
            let mut way = Way::at(at, [0.0, 10.6]).walk([6.0, 10.6], 5.0);
            if i % 4 == 3 {
                let stopped = way.now();
                way = way.stay(55.0);
                self.incidents.push(Incident {
                    kind: "stopped_vehicle",
                    who: None,
                    from: stopped + 28.0,
                    until: way.now(),
                });
            } else if i % 4 == 1 {
                way = way.stay(15.0);
            }
            let way = way.walk([12.0, 10.6], 5.0);
            self.visitors.push(Visitor { class: Class::named("car"), height: 1.5, width: 3.5, way: way.0 });
            at += chance.between(60.0, 120.0);
        }
    }

    fn comes(&mut self, way: Way) -> usize {
        self.visitors.push(Visitor { class: Class::PERSON, height: 1.7, width: 0.55, way: way.0 });
        self.visitors.len() - 1
    }

    fn tell(&mut self, kind: &'static str, who: usize, from: f64, until: f64) {
        self.incidents.push(Incident { kind, who: Some(who), from, until });
    }

    fn leaves_unpaid(&mut self, way: Way, longest: f64) -> usize {
        let (from, way) = (way.now(), way.leave(WALKS));
        let until = way.now();
        let who = self.comes(way);
        self.tell("exit_without_checkout", who, from, until);
        if longest > 20.0 {
            self.tell("journey", who, from, until);
        }
        who
    }
}

/// A way that is being written.
struct Way(Vec<[f64; 3]>);

impl Way {
    fn at(at: f64, [x, y]: [f64; 2]) -> Way {
        Way(vec![[at, x, y]])
    }
    fn enter(at: f64, chance: &mut Chance) -> Way {
        let x = chance.between(3.6, 4.2);
        Way::at(at, [x, 0.05]).walk([x, 2.3], WALKS)
    }
    fn now(&self) -> f64 {
        self.0[self.0.len() - 1][0]
    }
    fn walk(mut self, [x, y]: [f64; 2], metres_per_s: f64) -> Way {
        let [t, x0, y0] = self.0[self.0.len() - 1];
        let way = ((x - x0) * (x - x0) + (y - y0) * (y - y0)).sqrt();
        self.0.push([t + (way / metres_per_s).max(0.05), x, y]);
        self
    }
    fn stay(mut self, seconds: f64) -> Way {
        let [t, x, y] = self.0[self.0.len() - 1];
        self.0.push([t + seconds, x, y]);
        self
    }
    /// Walks to a place within the rectangle, and shifts from foot to foot there.
    fn look(mut self, [x1, y1, x2, y2]: [f64; 4], seconds: f64, chance: &mut Chance) -> Way {
        self = self.walk([chance.between(x1, x2), chance.between(y1, y2)], WALKS);
        let until = self.now() + seconds;
        while self.now() < until {
            let [_, x, y] = self.0[self.0.len() - 1];
            let near = |v: f64, least: f64, most: f64, step: f64| (v + step).clamp(least, most);
            let to = [near(x, x1, x2, chance.between(-0.3, 0.3)), near(y, y1, y2, chance.between(-0.2, 0.2))];
            self = self.stay(chance.between(2.0, 5.0)).walk(to, 0.5);
        }
        self
    }
    fn pay(self, chance: &mut Chance) -> Way {
        let wait = chance.between(1.0, 4.0);
        let service = chance.between(6.0, 14.0);
        self.walk([6.6, 3.1], WALKS).stay(wait).walk([8.0, 3.1], WALKS).stay(service)
    }
    fn leave(self, metres_per_s: f64) -> Way {
        self.walk([8.1, 1.2], metres_per_s).walk([8.1, 0.05], metres_per_s)
    }
}

/// Never near the limits of a rule, where the truth would be a matter of taste.
fn dwell(chance: &mut Chance) -> f64 {
    if chance.happens(0.6) { chance.between(8.0, 13.0) } else { chance.between(24.0, 32.0) }
}

fn shelves(mut way: Way, chance: &mut Chance) -> (Way, f64) {
    let mut longest = 0f64;
    for shelf in [SNACKS, WINES, SPIRITS] {
        if chance.happens(0.5) {
            let seconds = dwell(chance);
            way = way.look(shelf, seconds, chance);
            longest = longest.max(seconds);
        }
    }
    if longest == 0.0 {
        longest = dwell(chance);
        way = way.look(SNACKS, longest, chance);
    }
    (way, longest)
}

fn browse(day: &mut Day, chance: &mut Chance, at: f64) {
    let (way, longest) = shelves(Way::enter(at, chance), chance);
    day.leaves_unpaid(way, longest);
}

fn pass_through(day: &mut Day, chance: &mut Chance, at: f64) {
    day.comes(Way::enter(at, chance).walk([5.6, 5.0], WALKS).stay(4.0).walk([5.8, 4.2], WALKS).leave(WALKS));
}

fn buy(day: &mut Day, chance: &mut Chance, at: f64) {
    let (way, _) = shelves(Way::enter(at, chance), chance);
    day.comes(way.pay(chance).leave(WALKS));
}

/// Many things into a bag within seconds, and out: of it tracks show that nobody paid.
fn sweep(day: &mut Day, chance: &mut Chance, at: f64) {
    let way = Way::enter(at, chance).look(SNACKS, 12.0, chance);
    day.leaves_unpaid(way, 12.0);
}

/// Something under the coat: of it tracks show that nobody paid.
fn conceal(day: &mut Day, chance: &mut Chance, at: f64) {
    let way = Way::enter(at, chance).look(WINES, 26.0, chance);
    day.leaves_unpaid(way, 26.0);
}

fn loiter(day: &mut Day, chance: &mut Chance, at: f64) {
    let way = Way::enter(at, chance).walk([3.5, 7.8], WALKS);
    let from = way.now();
    let seconds = chance.between(55.0, 80.0);
    let way = way.look(SPIRITS, seconds, chance);
    let until = way.now();
    let who = day.comes(way.pay(chance).leave(WALKS));
    day.tell("loitering", who, from + 44.0, until);
}

fn come_again(day: &mut Day, chance: &mut Chance, at: f64) {
    let mut way = Way::enter(at, chance);
    let mut third = 0.0;
    for _ in 0..3 {
        way = way.walk([5.6, 5.6], WALKS).stay(2.0).walk([7.0, 6.6], WALKS);
        third = way.now();
        way = way.look(WINES, 6.0, chance);
    }
    let until = way.now();
    let who = day.comes(way.pay(chance).leave(WALKS));
    day.tell("repeat_approach", who, third, until);
}

/// Two come together, one to each side, and go together without paying.
fn split(day: &mut Day, chance: &mut Chance, at: f64) {
    let one = Way::at(at, [3.6, 0.05]).walk([3.6, 2.3], WALKS).look(SNACKS, 26.0, chance);
    let other = Way::at(at + 0.4, [4.3, 0.05]).walk([4.3, 2.3], WALKS).look(WINES, 24.0, chance);
    let meet = one.now().max(other.now()) + 6.0;
    let together = |way: Way, x: f64| {
        let way = way.walk([x, 4.6], WALKS);
        let wait = (meet - way.now()).max(0.1);
        way.stay(wait)
    };
    let one = day.leaves_unpaid(together(one, 6.9), 26.0);
    let other = day.leaves_unpaid(together(other, 7.6), 24.0);
    let left = day.visitors[one].last().max(day.visitors[other].last());
    day.tell("group_split", one, left - 3.5, left);
}

/// Two who stay together and pay.
fn pair(day: &mut Day, chance: &mut Chance, at: f64) {
    let way = Way::enter(at, chance).look(SNACKS, 12.0, chance).look(WINES, 12.0, chance).pay(chance).leave(WALKS);
    let other = Way(way.0.iter().map(|[t, x, y]| [t + 0.5, x + 0.6, y + 0.2]).collect());
    day.comes(way);
    day.comes(other);
}

/// Staff, out of the stockroom and long at a shelf.
fn restock(day: &mut Day, chance: &mut Chance, at: f64) {
    let way = Way::at(at, [9.8, 8.5]).stay(2.0).walk([7.6, 8.5], WALKS).look(SNACKS, 90.0, chance);
    let way = way.walk([7.6, 8.5], WALKS).walk([9.8, 8.5], WALKS);
    let back = way.now();
    let who = day.comes(way.stay(3.0));
    day.tell("restricted_zone", who, at, at + 4.0);
    day.tell("restricted_zone", who, back - 1.5, back + 3.0);
}

/// A child that runs up and down while its mother looks at something.
fn child(day: &mut Day, chance: &mut Chance, at: f64) {
    let mother = Way::enter(at, chance).look(SNACKS, 28.0, chance).pay(chance).leave(WALKS);
    let mut way = Way::at(at + 0.5, [4.6, 0.05]).walk([4.6, 3.9], WALKS);
    let from = way.now();
    for _ in 0..3 {
        way = way.walk([5.4, 5.7], 2.0).walk([8.6, 5.6], 2.8).stay(2.0);
        way = way.walk([7.9, 5.6], 2.0).walk([4.4, 5.8], 2.8).stay(2.0);
    }
    let until = way.now();
    day.comes(mother);
    let way = way.walk([6.6, 4.2], WALKS).leave(WALKS);
    day.visitors.push(Visitor { class: Class::PERSON, height: 1.15, width: 0.45, way: way.0 });
    let who = day.visitors.len() - 1;
    day.tell("running", who, from, until);
}

/// Takes something and runs.
fn run(day: &mut Day, chance: &mut Chance, at: f64) {
    let way = Way::enter(at, chance).look(SPIRITS, 9.0, chance).walk([2.8, 6.4], WALKS);
    let from = way.now();
    // Nobody is fast from one moment to the next.
    let way = way.walk([3.2, 6.3], 2.0).walk([3.9, 6.2], 2.9).walk([8.3, 5.6], 3.6).walk([8.1, 2.0], 3.4).leave(2.2);
    let until = way.now();
    let who = day.comes(way);
    day.tell("running", who, from, until);
    day.tell("exit_without_checkout", who, from, until);
}

fn wrong_way(day: &mut Day, chance: &mut Chance, at: f64) {
    let (way, _) = shelves(Way::enter(at, chance), chance);
    let way = way.walk([3.9, 2.4], WALKS);
    let from = way.now();
    let way = way.walk([3.9, 0.05], WALKS);
    let until = way.now();
    let who = day.comes(way);
    day.tell("wrong_way", who, from, until);
}

fn through_the_door(day: &mut Day, chance: &mut Chance, at: f64) -> (usize, f64) {
    let way = Way::enter(at, chance).walk([6.0, 5.5], WALKS).walk([7.6, 8.5], WALKS);
    let door = way.now() + 1.1 / WALKS;
    let way = way.walk([9.8, 8.5], WALKS).stay(4.0);
    let who = day.comes(way);
    day.tell("restricted_zone", who, door, door + 6.0);
    (who, door)
}

fn staff(day: &mut Day, chance: &mut Chance, at: f64) {
    through_the_door(day, chance, at);
}

fn tailgate(day: &mut Day, chance: &mut Chance, at: f64) {
    through_the_door(day, chance, at);
    let (second, door) = through_the_door(day, chance, at + 1.1);
    day.tell("tailgating", second, door - 0.5, door + 1.5);
}

/// Left before the emergency exit for a while.
fn suitcase(day: &mut Day, chance: &mut Chance, at: f64) {
    let seconds = chance.between(40.0, 70.0);
    let way = Way::at(at, [2.8, 6.2]).stay(seconds);
    let until = way.now();
    day.visitors.push(Visitor { class: Class::named("suitcase"), height: 0.7, width: 0.5, way: way.0 });
    day.incidents.push(Incident { kind: "object_in_zone", who: None, from: at + 19.0, until });
}

/// Five wait, and are served one after another.
fn queue(day: &mut Day, chance: &mut Chance, at: f64) {
    let mut full = 0f64;
    for place in 0..5 {
        let spot = [6.8 - 0.5 * f64::from(place), 3.0 + 0.2 * f64::from(place % 2)];
        let way = Way::enter(at + 2.5 * f64::from(place), chance).walk(spot, WALKS);
        full = full.max(way.now());
        let way = way.stay(45.0 + 4.0 * f64::from(place)).walk([8.0, 3.1], WALKS).stay(4.0).leave(WALKS);
        day.comes(way);
    }
    day.incidents.push(Incident { kind: "queue_too_long", who: None, from: full + 8.0, until: full + 42.0 });
}
