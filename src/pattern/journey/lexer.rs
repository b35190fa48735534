//! A line of the journey grammar in pieces, each with its place in the line.

use super::fault::Fault;

/// A piece, and where it stands: columns are counted in characters, from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token<'a> {
    pub what: Piece<'a>,
    pub text: &'a str,
    pub column: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Piece<'a> {
    Arrow,
    Not,
    Open,
    Close,
    Comma,
    Compare(Compare),
    /// A name, a number, a duration, a key word: letters, digits, `-`, `_`, `.`.
    Word(&'a str),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Over,
    AtLeast,
    Under,
    AtMost,
}

impl Token<'_> {
    pub fn width(&self) -> usize {
        self.text.chars().count().max(1)
    }
}

/// The last one is [`Piece::End`].
pub(super) fn pieces(line: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut tokens = Vec::new();
    let (mut rest, mut column) = (line, 1);
    loop {
        let trimmed = rest.trim_start();
        column += rest[..rest.len() - trimmed.len()].chars().count();
        rest = trimmed;
        let Some((what, length)) = first(rest) else {
            let sign = rest.chars().next().unwrap_or(' ');
            let what = format!("{sign:?} means nothing here, expected a place, \"->\", \"!\", \"(\" or \"within\"");
            return Err(Fault { column, width: 1, what });
        };
        let (text, after) = rest.split_at(length);
        tokens.push(Token { what, text, column });
        if what == Piece::End {
            return Ok(tokens);
        }
        column += text.chars().count();
        rest = after;
    }
}

/// The piece a text begins with and its length in bytes.
fn first(text: &str) -> Option<(Piece<'_>, usize)> {
    const SIGNS: [(&str, Piece<'static>); 10] = [
        ("->", Piece::Arrow),
        ("→", Piece::Arrow),
        ("!", Piece::Not),
        ("(", Piece::Open),
        (")", Piece::Close),
        (",", Piece::Comma),
        (">=", Piece::Compare(Compare::AtLeast)),
        (">", Piece::Compare(Compare::Over)),
        ("<=", Piece::Compare(Compare::AtMost)),
        ("<", Piece::Compare(Compare::Under)),
    ];
    if text.is_empty() {
        return Some((Piece::End, 0));
    }
    if let Some((sign, piece)) = SIGNS.iter().find(|(sign, _)| text.starts_with(sign)) {
        return Some((*piece, sign.len()));
    }
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let end = text.find(|letter: char| !is_word(letter)).unwrap_or(text.len());
    // `shelf->till` needs no blanks, although names may have hyphens in them.
    let end = text[..end].find("->").map_or(end, |arrow| arrow.min(end));
    let end = if text[end..].starts_with('>') && text[..end].ends_with('-') { end - 1 } else { end };
    (end > 0).then(|| (Piece::Word(&text[..end]), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        match pieces(line) {
            Ok(tokens) => tokens.iter().map(|t| format!("{}:{}", t.column, t.text)).collect::<Vec<_>>().join(" "),
            Err(fault) => format!("{}: {}", fault.column, fault.what),
        }
    }

    #[test]
    fn lines_fall_into_pieces() {
        assert_eq!(told(""), "1:");
        assert_eq!(told("a->b-2 -> c"), "1:a 2:-> 4:b-2 8:-> 11:c 12:");
        assert_eq!(told("  !till(dwell>=5s)"), "3:! 4:till 8:( 9:dwell 14:>= 16:5s 18:) 19:");
        assert_eq!(told("a → b"), "1:a 3:→ 5:b 6:", "columns are characters, not bytes");
        assert_eq!(told("a- -> b"), "1:a- 4:-> 7:b 8:");
        assert!(told("a -> é").starts_with("6: 'é' means nothing here"), "{}", told("a -> é"));
        assert!(told("a = 3").starts_with("3: '=' means nothing here"));
    }
}
