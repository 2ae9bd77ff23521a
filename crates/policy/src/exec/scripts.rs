//! Whether a script of `awk` or `sed` does nothing but read its input and print. Only a small, plain part of both
//! languages is let through; the rest isn't looked at closely.

/// Longest script looked at.
const SCRIPT_BYTES_MAX: usize = 4 * 1024;

/// No command is run, no file is opened: nothing that pipes, redirects, reads or calls by name.
pub(crate) fn awk_only_prints(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= SCRIPT_BYTES_MAX
        // Strings that are put together (`"sys" "tem"`) can only be called with `@`.
        && !text.contains(['|', '>', '<', '@', '`'])
        && !["system", "getline", "close", "fflush", "ENVIRON", "PROCINFO", "load", "include"]
            .iter()
            .any(|word| text.contains(word))
        && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
}

/// Addresses with `p`, `d`, `q`, `=` and `s///` with the flags `g`, `p`, `i` and numbers, separated by `;`.
pub(crate) fn sed_only_edits(text: &str) -> bool {
    if text.is_empty() || text.len() > SCRIPT_BYTES_MAX || text.chars().any(char::is_control) {
        return false;
    }
    let mut rest = text;
    loop {
        let Some(after) = one_command(rest.trim_start()) else { return false };
        let after = after.trim_start();
        if after.is_empty() {
            return true;
        }
        let Some(next) = after.strip_prefix(';') else { return false };
        if next.trim().is_empty() {
            return true;
        }
        rest = next;
    }
}

/// What follows one command.
fn one_command(text: &str) -> Option<&str> {
    let mut rest = address(text)?;
    if let Some(second) = rest.strip_prefix(',') {
        let after = address(second)?;
        if after.len() == second.len() {
            return None;
        }
        rest = after;
    }
    rest = rest.trim_start();
    rest = rest.strip_prefix('!').unwrap_or(rest);
    if let Some(rest) = rest.strip_prefix(['p', 'd', 'q', '=']) {
        return Some(rest);
    }
    let substitution = rest.strip_prefix('s')?;
    let separator = substitution.chars().next().filter(|c| "/|#,:".contains(*c))?;
    let mut rest = substitution.get(1..)?;
    for _ in 0..2 {
        rest = behind(rest, separator)?;
    }
    Some(rest.trim_start_matches(|c: char| "gpiI".contains(c) || c.is_ascii_digit()))
}

/// What follows an address, if there is one: a number, `$`, or `/…/`.
fn address(text: &str) -> Option<&str> {
    if let Some(pattern) = text.strip_prefix('/') {
        return behind(pattern, '/').map(|rest| rest.strip_prefix('I').unwrap_or(rest));
    }
    if let Some(rest) = text.strip_prefix('$') {
        return Some(rest);
    }
    Some(text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '~' || c == '+'))
}

/// What follows the next separator that no backslash hides. Brackets aren't read, so a separator in them ends the
/// text here but not for `sed`; what then follows would have to be flags, and nothing among those does harm.
fn behind(text: &str, separator: char) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && c == '[' {
            return None;
        }
        if !escaped && c == separator {
            return text.get(at + c.len_utf8()..);
        }
        escaped = !escaped && c == '\\';
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn awk_prints_and_nothing_else() {
        for program in ["{print $1}", "NR==3", "/x/ { n++ } END { print n }", "{ printf \"%s\\n\", $2 }"] {
            assert!(awk_only_prints(program), "{program}");
        }
        for program in [
            "",
            "BEGIN { system(\"id\") }",
            "{ print | \"sh\" }",
            "{ print > \"/etc/x\" }",
            "BEGIN { \"id\" | getline x }",
            "BEGIN { f = \"sys\" \"tem\"; @f(\"id\") }",
            "@load \"filefuncs\"",
        ] {
            assert!(!awk_only_prints(program), "{program}");
        }
    }

    #[test]
    fn sed_edits_and_nothing_else() {
        for script in ["10,20p", "$p", "/a/,/b/d", "s/a/b/g", "s|/x|/y|", "1!d; $q", "5q;", "/x\\/y/p", "0~4p", "1,+3p"]
        {
            assert!(sed_only_edits(script), "{script}");
        }
        for script in [
            "",
            "e id",
            "1e id",
            "s/a/id/e",
            "s/a/b/w /etc/x",
            "w /etc/x",
            "r /etc/shadow",
            "1,5w x",
            "p\ne id",
            "s/[/]e/x/e",
            "y/a/b/",
            "{p}",
            "b",
            "F",
            "s/a/b/gpe",
            "1,p",
            "p;;p",
        ] {
            assert!(!sed_only_edits(script), "{script}");
        }
    }
}
