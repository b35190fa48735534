use super::*;
use crate::clue::Clues;
use crate::detection::Class;
use crate::event::Envelope;
use crate::geometry::BBox;
use crate::ids::{RuleId, TrackId};
use crate::pattern::story::{plan, rule};
use crate::pipeline::Moment;
use crate::time::{MediaTime, Span, WallTime};
use crate::track::{Track, TrackState};
use std::path::Path;

/// Somebody stands at the shelf for a minute, seen four times a second, with numbers that no decimal spells shortly.
fn sightings() -> Vec<Sighting> {
    let start = WallTime::parse("2026-11-24T10:15:00Z").unwrap();
    let frame = |n: i64| {
        let at = MediaTime::from_micros(n * 250_001);
        let x = 0.3 + 0.001 * (n as f32).sin();
        let track = Track {
            id: TrackId(7),
            class: Class::PERSON,
            score: 0.8 + 0.1 * (n as f32).cos(),
            bbox: BBox::new(x - 0.05, 0.2, x + 0.05, 0.6),
            born: MediaTime::from_micros(250_001 * 8),
            seen: at,
            state: TrackState::Confirmed,
        };
        let tracks = if n < 8 { Vec::new() } else { vec![track] };
        Sighting {
            moment: Moment { at, taken: start + (at - MediaTime::ZERO), aspect: 16.0 / 9.0 },
            tracks,
            clues: Clues::default(),
        }
    };
    (0..240).map(frame).collect()
}

fn loitering() -> crate::pipeline::CameraPlan {
    let mut plan = plan();
    plan.rules.insert(RuleId::new("linger"), rule("kind=loitering zone=shelf min_dwell_s=45"));
    plan
}

fn draft() -> Draft {
    let events = rerun(loitering(), 3, true, &sightings());
    let envelope = Envelope { seq: 12, boot: "b", late: false };
    let event = serde_json::from_str(&crate::event::to_json(&events[0], envelope)).unwrap();
    let shot = |n: i64| Shot {
        at: MediaTime::from_micros(n),
        taken: WallTime::from_micros(n),
        jpeg: vec![n as u8; 100].into(),
    };
    Draft {
        event,
        from_pictures: false,
        opening: 3,
        plan: loitering(),
        config: "schema = 1\n".into(),
        model: "none".into(),
        model_sha256: None,
        near: sightings(),
        far: sightings(),
        shots: vec![shot(1), shot(2)],
    }
}

fn kept(dir: &Path, draft: Draft) -> (Vec<Entry>, Seal, Case) {
    let path = Cabinet::open(dir, EvidenceConfig::default()).unwrap().file(draft).unwrap();
    let mut entries = read(&path).unwrap();
    let seal = serde_json::from_slice(&entries.pop().unwrap().bytes).unwrap();
    let case = serde_json::from_slice(&entries[0].bytes).unwrap();
    (entries, seal, case)
}

#[test]
fn what_is_kept_leads_to_the_same_verdict_and_is_as_it_was_signed() {
    let folder = tempfile::tempdir().unwrap();
    let (entries, seal, case) = kept(folder.path(), draft());
    seal.check(&entries).unwrap();
    assert_eq!(case.verdict, Verdict::Same);
    let tracks = entries.iter().find(|entry| entry.name == TRACKS).unwrap();
    assert_eq!(from_lines(&tracks.bytes).unwrap(), sightings());
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, [CASE, CONFIG, TRACKS, "frames/0000.jpg", "frames/0001.jpg"]);
    assert_eq!(entries[4].bytes, vec![2; 100]);
}

#[test]
fn whatever_is_changed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (entries, seal, _) = kept(folder.path(), draft());
    for i in 0..entries.len() {
        let mut other = entries.clone();
        *other[i].bytes.last_mut().unwrap() ^= 1;
        let error = seal.check(&other).unwrap_err().to_string();
        assert_eq!(error, format!("{} was changed after signing", entries[i].name));
        let mut fewer = entries.clone();
        fewer.remove(i);
        let error = seal.check(&fewer).unwrap_err().to_string();
        assert_eq!(error, format!("{} was taken away after signing", entries[i].name));
    }
    let mut more = entries.clone();
    more.push(Entry::new("frames/0002.jpg", "x"));
    assert_eq!(seal.check(&more).unwrap_err().to_string(), "frames/0002.jpg was added after signing");
    // Whoever adapts the digests, too, lacks the key.
    let mut forged = entries.clone();
    forged[1].bytes.push(b'#');
    let stranger = Key::open(&folder.path().join("other.pk8")).unwrap();
    let mut theirs = stranger.seal(&forged);
    theirs.check(&forged).unwrap();
    theirs.public_key.clone_from(&seal.public_key);
    let error = theirs.check(&forged).unwrap_err().to_string();
    assert!(error.starts_with("the signature does not belong"), "{error}");
}

#[test]
fn cases_of_a_device_are_chained_and_so_are_those_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (_, first, case) = kept(folder.path(), draft());
    assert_eq!(case.previous, None);
    let (_, _, case) = kept(folder.path(), draft());
    assert_eq!(case.previous.as_ref(), Some(&first.chain));
}

#[test]
fn a_verdict_that_cannot_be_repeated_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let late: Vec<Sighting> = sightings().split_off(100);
    let (_, _, case) = kept(folder.path(), Draft { near: late.clone(), far: late.clone(), ..draft() });
    assert_eq!(case.verdict, Verdict::NotReproduced);
    // The near past does not do, but the whole of it does.
    let (_, _, case) = kept(folder.path(), Draft { near: late, ..draft() });
    assert_eq!(case.verdict, Verdict::Same);
}

#[test]
fn old_files_go_first_and_the_key_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    kept(folder.path(), draft());
    let cabinet = Cabinet::open(folder.path(), EvidenceConfig::default()).unwrap();
    let day = |day: &str| WallTime::parse(&format!("2026-{day}T00:00:00Z")).unwrap();
    assert_eq!(cabinet.tidy(day("12-08")).unwrap(), 0);
    assert_eq!(cabinet.tidy(day("12-09")).unwrap(), 1);
    assert_eq!(list(folder.path()).unwrap(), []);
    let mode = std::fs::metadata(folder.path().join("device.pk8")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(folder.path().join("device.pk8"), "x").unwrap();
    let error = Cabinet::open(folder.path(), EvidenceConfig::default()).err().unwrap().to_string();
    assert!(error.contains("device.pk8 is no Ed25519 key"), "{error}");
}

#[test]
fn the_past_is_bounded_and_begins_a_little_before_whom_it_is_about() {
    let mut past = Past::new(Span::from_millis(13_000));
    for seen in sightings() {
        past.saw(1, seen.moment, &seen.tracks, &seen.clues);
    }
    let about = past.about(&[TrackId(7)]);
    assert_eq!(about.len(), 240, "born at 2 s, which is less than the lead");
    assert_eq!(past.about(&[TrackId(8)]).len(), 240, "nobody knows them, so all is given");
    let hour = MediaTime::from_secs_f64(3600.0);
    let later = Moment { at: hour, ..sightings()[0].moment };
    past.saw(1, later, &[], &Clues::default());
    assert_eq!(past.sightings().len(), 1);
    past.saw(2, Moment { at: MediaTime::ZERO, ..later }, &[], &Clues::default());
    assert_eq!(past.sightings().len(), 1, "another opening forgets the one before");
}

#[test]
fn files_of_others_are_told_from_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    let check = |bytes: &[u8], expected: &str| {
        std::fs::write(&path, bytes).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains(expected) && error.ends_with("expected an evidence file"), "{error}");
    };
    check(b"", "is no ZIP file");
    check(b"PK\x03\x04 and then nothing", "is no ZIP file");
    write(&path, &[Entry::new("../x", "y")]).unwrap();
    assert!(read(&path).is_ok(), "names are never used as paths");
    write(&path, &[Entry::new("a b", "y")]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    check(&whole, "has a name that no evidence has");
    write(&path, &[Entry::new("big", vec![0; 65 << 20])]).unwrap();
    let bomb = std::fs::read(&path).unwrap();
    assert!(bomb.len() < 1 << 20);
    check(&bomb, "unpacks to more than 64 MB");
}
