//! From pieces to steps, before anybody knows which places there are.
//!
//! ```text
//! journey    = step { "->" step }
//! step       = { "!" stop "->" } stop [ "x" N ] [ "within" duration ]
//! stop       = place [ "in" | "out" ] [ "(" condition { "," condition } ")" ]
//! condition  = "dwell" compare duration | "touches" compare N
//! compare    = ">" | ">=" | "<" | "<="
//! duration   = number ( "s" | "m" | "h" )
//! ```

use super::fault::Fault;
use super::lexer::{Compare, Piece, Token, pieces};
use crate::event::Direction;
use crate::time::Span;

/// More steps than anybody walks, counted with their repetitions; they are bits of a word.
pub(super) const MOST_STEPS: usize = 32;
const LONGEST: f64 = 24.0 * 3600.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// Where nobody may have been since the step before.
    pub guards: Vec<Stop>,
    pub stop: Stop,
    pub times: usize,
    pub within: Option<Span>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stop {
    pub place: String,
    pub column: usize,
    pub direction: Option<Direction>,
    pub conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Condition {
    pub measure: Measure,
    pub compare: Compare,
    /// Microseconds or a number of touches.
    pub limit: i64,
    pub column: usize,
    pub width: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Dwell,
    Touches,
}

pub(super) fn parse(line: &str) -> Result<Vec<Step>, Fault> {
    Parser { tokens: pieces(line)?, next: 0 }.journey()
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn journey(mut self) -> Result<Vec<Step>, Fault> {
        let (mut steps, mut total) = (Vec::new(), 0);
        loop {
            let start = self.peek();
            let step = self.step()?;
            total += step.times;
            if total > MOST_STEPS {
                return Err(fault(start, format!("step {total} is one too many, expected at most {MOST_STEPS}")));
            }
            steps.push(step);
            match self.take() {
                Token { what: Piece::Arrow, .. } => {}
                Token { what: Piece::End, .. } => return Ok(steps),
                token => return Err(unexpected(token, "\"->\", \"within\" or the end of the line")),
            }
        }
    }

    fn step(&mut self) -> Result<Step, Fault> {
        let mut guards = Vec::new();
        while self.peek().what == Piece::Not {
            let not = self.take();
            guards.push(self.stop()?);
            match self.peek() {
                Token { what: Piece::Arrow, .. } => self.take(),
                Token { what: Piece::End, .. } => {
                    let what = "a journey cannot end with \"!\", expected \"->\" and where it leads to without it";
                    return Err(fault(not, what));
                }
                Token { what: Piece::Word("within"), .. } => {
                    return Err(fault(self.peek(), "\"within\" is for steps without \"!\", expected \"->\""));
                }
                token => return Err(unexpected(token, "\"->\"")),
            };
        }
        let mut stop = self.stop()?;
        let times = self.times()?;
        // `shelf x3 (dwell > 5s)` is as good as `shelf(dwell > 5s) x3`.
        if times.is_some() && stop.conditions.is_empty() {
            stop.conditions = self.conditions()?;
        }
        let within = match self.peek().what {
            Piece::Word("within") => {
                self.take();
                Some(self.duration()?)
            }
            _ => None,
        };
        Ok(Step { guards, stop, times: times.unwrap_or(1), within })
    }

    fn stop(&mut self) -> Result<Stop, Fault> {
        let token = self.take();
        let place = match token.what {
            Piece::Word("within") => return Err(unexpected(token, "a place")),
            Piece::Word(name) => name,
            _ => return Err(unexpected(token, "a place: the name or the kind of a zone, or a line")),
        };
        let direction = match self.peek().what {
            Piece::Word("in") => Some(Direction::In),
            Piece::Word("out") => Some(Direction::Out),
            _ => None,
        };
        if direction.is_some() {
            self.take();
        }
        Ok(Stop { place: place.into(), column: token.column, direction, conditions: self.conditions()? })
    }

    fn times(&mut self) -> Result<Option<usize>, Fault> {
        let token = self.peek();
        let Piece::Word(word) = token.what else { return Ok(None) };
        let Some(number) = word.strip_prefix('x') else { return Ok(None) };
        self.take();
        match number.parse() {
            Ok(times @ 2..=MOST_STEPS) => Ok(Some(times)),
            _ => Err(unexpected(token, &format!("how many times, \"x2\" to \"x{MOST_STEPS}\""))),
        }
    }

    fn conditions(&mut self) -> Result<Vec<Condition>, Fault> {
        let mut conditions = Vec::new();
        if self.peek().what != Piece::Open {
            return Ok(conditions);
        }
        self.take();
        loop {
            conditions.push(self.condition()?);
            match self.take() {
                Token { what: Piece::Comma, .. } => {}
                Token { what: Piece::Close, .. } => return Ok(conditions),
                token => return Err(unexpected(token, "\",\" or \")\"")),
            }
        }
    }

    fn condition(&mut self) -> Result<Condition, Fault> {
        let start = self.take();
        let measure = match start.what {
            Piece::Word("dwell") => Measure::Dwell,
            Piece::Word("touches") => Measure::Touches,
            _ => return Err(unexpected(start, "\"dwell\" or \"touches\"")),
        };
        let token = self.take();
        let Piece::Compare(compare) = token.what else {
            return Err(unexpected(token, "\">\", \">=\", \"<\" or \"<=\""));
        };
        let limit = match measure {
            Measure::Dwell => self.duration()?.micros(),
            Measure::Touches => self.count()?,
        };
        let last = self.tokens[self.next - 1];
        Ok(Condition {
            measure,
            compare,
            limit,
            column: start.column,
            width: last.column + last.width() - start.column,
        })
    }

    fn count(&mut self) -> Result<i64, Fault> {
        let token = self.take();
        let count = if let Piece::Word(word) = token.what { word.parse().ok() } else { None };
        count.filter(|n| (0..=1000).contains(n)).ok_or_else(|| unexpected(token, "a whole number such as 3"))
    }

    fn duration(&mut self) -> Result<Span, Fault> {
        let token = self.take();
        let expected = "a duration such as 20s, 1.5m or 2h, at most 24h";
        let Piece::Word(word) = token.what else { return Err(unexpected(token, expected)) };
        let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let unit = match &word[digits.len()..] {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(unexpected(token, expected)),
        };
        let seconds = digits.parse::<f64>().ok().map(|number| number * unit);
        let seconds = seconds.filter(|s| (0.0..=LONGEST).contains(s) && !digits.starts_with('-'));
        seconds.map(Span::from_secs_f64).ok_or_else(|| unexpected(token, expected))
    }

    fn peek(&self) -> Token<'a> {
        self.tokens[self.next]
    }

    /// The end can be taken again and again.
    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }
}

fn fault(token: Token<'_>, what: impl Into<String>) -> Fault {
    Fault { column: token.column, width: token.width(), what: what.into() }
}

fn unexpected(token: Token<'_>, expected: &str) -> Fault {
    let found = match token.what {
        Piece::End => "the line ends here".into(),
        _ => format!("\"{}\" is out of place", token.text),
    };
    fault(token, format!("{found}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(line: &str, expected: Expect) {
        expected.assert_eq(&parse(line).err().map_or("right".into(), |fault| fault.shown(line)));
    }

    #[test]
    fn right_lines() {
        for line in [
            "shelf",
            "entrance -> shelf(dwell > 20s, touches >= 3) -> !checkout -> exit within 10m",
            "!till->shelf x3 within 5m -> !till(dwell>=2.5s) -> !office -> exit",
            "door in -> door out within 1h",
            "shelf x2 (dwell < 5s)",
        ] {
            assert_eq!(parse(line).map(|_| ()), Ok(()), "{line}");
        }
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        assert!(parse("").is_err_and(|fault| fault.column == 1), "the end of the line is the place");
        check(
            "shelf -> ",
            expect![[r#"
            column 10: the line ends here, expected a place: the name or the kind of a zone, or a line
                shelf ->
                         ^"#]],
        );
        check(
            "shelf exit",
            expect![[r#"
            column 7: "exit" is out of place, expected "->", "within" or the end of the line
                shelf exit
                      ^^^^"#]],
        );
        check(
            "shelf(dwel > 20s)",
            expect![[r#"
            column 7: "dwel" is out of place, expected "dwell" or "touches"
                shelf(dwel > 20s)
                      ^^^^"#]],
        );
        check(
            "shelf(dwell = 20s)",
            expect![[r#"
            column 13: '=' means nothing here, expected a place, "->", "!", "(" or "within"
                shelf(dwell = 20s)
                            ^"#]],
        );
        check(
            "shelf(dwell > 20)",
            expect![[r#"
            column 15: "20" is out of place, expected a duration such as 20s, 1.5m or 2h, at most 24h
                shelf(dwell > 20)
                              ^^"#]],
        );
        check(
            "shelf(dwell > 20s -> exit",
            expect![[r#"
            column 19: "->" is out of place, expected "," or ")"
                shelf(dwell > 20s -> exit
                                  ^^"#]],
        );
        check(
            "shelf(touches >= 2.5)",
            expect![[r#"
            column 18: "2.5" is out of place, expected a whole number such as 3
                shelf(touches >= 2.5)
                                 ^^^"#]],
        );
        check(
            "shelf -> !till",
            expect![[r#"
            column 10: a journey cannot end with "!", expected "->" and where it leads to without it
                shelf -> !till
                         ^"#]],
        );
        check(
            "shelf -> !till within 5m -> exit",
            expect![[r#"
            column 16: "within" is for steps without "!", expected "->"
                shelf -> !till within 5m -> exit
                               ^^^^^^"#]],
        );
        check(
            "shelf x1 -> exit",
            expect![[r#"
            column 7: "x1" is out of place, expected how many times, "x2" to "x32"
                shelf x1 -> exit
                      ^^"#]],
        );
        check(
            "shelf x20 -> shelf x20",
            expect![[r#"
            column 14: step 40 is one too many, expected at most 32
                shelf x20 -> shelf x20
                             ^^^^^"#]],
        );
        check(
            "shelf -> exit within",
            expect![[r#"
            column 21: the line ends here, expected a duration such as 20s, 1.5m or 2h, at most 24h
                shelf -> exit within
                                    ^"#]],
        );
        check(
            "shelf -> exit within 48h",
            expect![[r#"
            column 22: "48h" is out of place, expected a duration such as 20s, 1.5m or 2h, at most 24h
                shelf -> exit within 48h
                                     ^^^"#]],
        );
        check(
            "within 5m",
            expect![[r#"
            column 1: "within" is out of place, expected a place
                within 5m
                ^^^^^^"#]],
        );
        check(
            "shelf -> -> exit",
            expect![[r#"
            column 10: "->" is out of place, expected a place: the name or the kind of a zone, or a line
                shelf -> -> exit
                         ^^"#]],
        );
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,60}") {
            if let Err(fault) = parse(&line) {
                prop_assert!(fault.column <= line.chars().count() + 1);
                fault.shown(&line);
            }
        }

        #[test]
        fn nor_one_of_the_right_words(words in prop::collection::vec(prop::sample::select(vec![
            "->", "!", "(", ")", ",", ">", ">=", "<", "within", "x3", "shelf", "dwell", "touches", "in", "20s", "3",
        ]), 0..14)) {
            let line = words.join(" ");
            if let Ok(steps) = parse(&line) {
                prop_assert!(!steps.is_empty());
                prop_assert!(steps.iter().map(|s| s.times).sum::<usize>() <= MOST_STEPS);
            }
        }
    }
}
