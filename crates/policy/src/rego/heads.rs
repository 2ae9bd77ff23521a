//! Finds rules whose heads the engine's machine reads otherwise than OPA, without saying so: they are refused when they
//! are read. Reads the text with as much of the grammar as it takes to know where a rule begins.

use super::references::{Cursor, Unknown, is_word};

/// What ends a line that goes on in the next.
const JOINING: &str = "=<>!+-*/%&|:,.([{";
/// Words a rule's name can't be, and after which an expression goes on.
const KEYWORDS: [&str; 12] =
    ["as", "contains", "default", "else", "every", "if", "import", "in", "not", "package", "some", "with"];
/// Imports under `future.keywords` that mean nothing any more.
const FUTURE: [&str; 4] = ["contains", "every", "if", "in"];

/// Every head that would mean something else than in OPA.
pub(super) fn check(text: &str) -> Vec<Unknown> {
    /// More than anybody reads at once.
    const PROBLEMS_MAX: usize = 20;
    let mut found = Vec::new();
    let mut rest = Cursor::new(text);
    let (mut depth, mut line, mut joined) = (0_u32, 0, false);
    while let Some(character) = rest.peek() {
        if found.len() >= PROBLEMS_MAX {
            break;
        }
        let (here, column) = (rest.line, rest.column);
        if is_word(character) {
            let word = rest.word();
            let begins = depth == 0 && here != line && !joined;
            line = here;
            joined = KEYWORDS.contains(&word);
            let problem = match word {
                _ if !begins => None,
                "default" => default(&mut rest),
                "import" => import(&mut rest),
                "else" | "package" => None,
                _ => head(&mut rest),
            };
            found.extend(problem.map(|message| Unknown { line: here, column, message: message.to_owned() }));
            continue;
        }
        match character {
            '#' => rest.skip_while(|c| c != '\n'),
            '"' | '`' => {
                rest.skip_text();
                (line, joined) = (rest.line, false);
            }
            c => {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if !c.is_whitespace() {
                    line = here;
                    joined = JOINING.contains(c);
                }
                rest.next();
            }
        }
    }
    found
}

fn head(rest: &mut Cursor<'_>) -> Option<&'static str> {
    const DEEP: &str = "a rule's name is one word, with at most one key in brackets, here; make an object with `name[key] := value` or a set with `name contains member`";
    if rest.peek() == Some('.') {
        return Some(DEEP);
    }
    if rest.peek() != Some('[') {
        return None;
    }
    // Heads are short; what is in the brackets is read again by nobody.
    rest.skip_brackets();
    if matches!(rest.peek(), Some('.' | '[')) {
        return Some(DEEP);
    }
    rest.skip_while(|c| c == ' ' || c == '\t');
    rest.rest().starts_with("contains").then_some(DEEP)
}

fn default(rest: &mut Cursor<'_>) -> Option<&'static str> {
    rest.skip_while(char::is_whitespace);
    rest.word();
    match rest.peek() {
        Some('.') => return head(rest),
        Some('(') => return Some("functions have no `default` here; write a last definition with `else := value`"),
        _ => {}
    }
    rest.skip_while(|c| c.is_whitespace() || c == ':' || c == '=');
    if !matches!(rest.peek(), Some('[' | '{')) {
        return None;
    }
    let inside = rest.skip_brackets();
    inside.contains('|').then_some("a `default` is a constant here; give the comprehension a rule of its own")
}

fn import(rest: &mut Cursor<'_>) -> Option<&'static str> {
    rest.skip_while(|c| c == ' ' || c == '\t');
    let name = rest.rest().strip_prefix("future.keywords.")?;
    let end = name.find(|c| !is_word(c)).unwrap_or(name.len());
    let known = name.get(..end).is_some_and(|name| FUTURE.contains(&name));
    (!known).then_some("this keyword isn't known here; take the import out and write the rule without it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Option<String> {
        let found = check(text).into_iter().next()?;
        Some(format!("{}:{} {}", found.line, found.column, found.message.split(' ').next().unwrap_or_default()))
    }

    #[test]
    fn heads_that_mean_something_else_are_found() {
        for fine in [
            "package a.b.c\nimport data.x.y\nimport rego.v1\nimport future.keywords.if",
            "x[k] := v if { some k, v in input.deed }",
            "deny contains \"x\" if\n  input.deed.kind == \"a\"",
            "x := 1 +\n  input.deed.port",
            "f(x) := y if { y := x.a.b[0].c }\nelse := x.a.b if true",
            "default x := {\"a\": [1]}\ndefault y := 1 # a.b",
            "x := {\n\t\"a\": 1,\n\tinput.b.c: 2,\n}",
            "y if {\n\tinput.deed.kind == \"x\"\n\tinput.a[i].b\n}",
            "# a.b := 1\nx := `\na.b := 1\n`\n",
            "x := [\n\ta.b | some a in input.x\n]",
        ] {
            assert_eq!(first(fine), None, "{fine}");
        }
        for (odd, told) in [
            ("a.b := 1", "1:1 a"),
            ("x := 1\n\na[b].c := 1 if b := 2", "3:1 a"),
            ("a[b][c] := 1 if true", "1:1 a"),
            ("a[b] contains c if true", "1:1 a"),
            ("x if { true }\na.b contains 1", "2:1 a"),
            ("default f(_) := 1", "1:1 functions"),
            ("default a.b := 1", "1:1 a"),
            ("default x := [y | some y in input.z]", "1:1 a"),
            ("import future.keywords.not", "1:1 this"),
        ] {
            assert_eq!(first(odd).as_deref(), Some(told), "{odd}");
        }
        assert_eq!(check(&"a.b := 1\n".repeat(1000)).len(), 20);
        for broken in ["a[", "default", "default x := [", "import", "a[\"", "`", "a[`"] {
            let _ = check(broken);
        }
    }
}
