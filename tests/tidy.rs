//! House rules that the compiler does not know: layers, banned calls, sizes, links. All breaches are reported at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A module, and what it may use. `guide/src/architecture.md` has the picture.
const LAYERS: &[(&str, &str)] = &[
    ("error", ""),
    ("time", "error"),
    ("record", "time error"),
    ("serdes", "record time error"),
    ("state", "serdes record time error"),
    ("broker", "record time error"),
    ("processor", "state broker serdes record time error"),
    ("topology", "processor state serdes record time error"),
    ("dsl", "topology processor state serdes record time error"),
    ("runtime", "topology processor state broker serdes record time error"),
    ("testing", "dsl runtime topology processor state broker serdes record time error"),
];

/// What is not written in `src`, outside of tests, and what to write instead.
const BANNED: &[(&str, &str)] = &[
    ("SystemTime::now", "`time::Clock`"),
    ("Instant::now", "`time::Clock`"),
    ("thread::sleep", "a wait on a condition, with a deadline"),
    ("rand::rng", "a seeded generator"),
    ("collections::HashMap", "`BTreeMap`, or `hashbrown` where nothing depends on the order"),
    ("collections::HashSet", "`BTreeSet`, or `hashbrown` where nothing depends on the order"),
    ("todo!(", "the code, or an error that says what is not there"),
    ("unimplemented!(", "the code, or an error that says what is not there"),
    ("fn get_", "the noun alone"),
    ("Manager", "what it is"),
];

/// The only files that may see the clock of the machine.
const CLOCK: &str = "src/time/clock.rs";

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut breaches = String::new();
    for path in files("src", "rs") {
        let module = module_of(&path);
        if module == "lib" || module == "guide" {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            writeln!(breaches, "{}: module `{module}` is in no layer", path.display()).unwrap();
            continue;
        };
        for (number, line) in code_of(&path) {
            for used in used_modules(&line) {
                if used != module && !allowed.split(' ').any(|name| name == used) {
                    writeln!(breaches, "{}:{number}: `{module}` uses `{used}`", path.display()).unwrap();
                }
            }
        }
    }
    assert!(breaches.is_empty(), "layers:\n{breaches}");
}

#[test]
fn banned_calls_have_replacements() {
    let mut breaches = String::new();
    for path in files("src", "rs").into_iter().filter(|path| !path.ends_with(CLOCK)) {
        for (number, line) in code_of(&path) {
            for (banned, instead) in BANNED.iter().filter(|(banned, _)| line.contains(banned)) {
                writeln!(breaches, "{}:{number}: `{banned}`; write {instead}", path.display()).unwrap();
            }
        }
    }
    assert!(breaches.is_empty(), "banned:\n{breaches}");
}

#[test]
fn files_and_functions_are_short() {
    let mut breaches = String::new();
    for path in ["src", "tests", "examples", "benches"].iter().flat_map(|folder| files(folder, "rs")) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES {
            writeln!(breaches, "{}: {} lines, {FILE_LINES} at most", path.display(), lines.len()).unwrap();
        }
        for (start, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
            let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            let length = lines[start..].iter().position(|line| *line == end).map_or(1, |last| last + 1);
            if length > FUNCTION_LINES {
                let at = format!("{}:{}", path.display(), start + 1);
                writeln!(breaches, "{at}: {length} lines, {FUNCTION_LINES} at most").unwrap();
            }
        }
    }
    assert!(breaches.is_empty(), "sizes:\n{breaches}");
}

#[test]
fn links_of_pages_lead_somewhere() {
    let mut breaches = String::new();
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    for page in files("guide", "md").into_iter().chain(top) {
        let text = fs::read_to_string(&page).unwrap();
        for (shown, target) in links(&text).into_iter().filter(|(_, target)| !target.contains("://")) {
            if let Err(why) = follow(&page, shown, target) {
                writeln!(breaches, "{}: [{shown}]({target}): {why}", page.display()).unwrap();
            }
        }
    }
    assert!(breaches.is_empty(), "links:\n{breaches}");
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = fs::read_to_string(root().join("guide/src/SUMMARY.md")).unwrap();
    let listed: Vec<&str> = links(&summary).into_iter().map(|(_, target)| target).collect();
    for page in files("guide/src", "md") {
        let name = page.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name == "SUMMARY.md" || listed.contains(&name.as_str()), "{name} is not in SUMMARY.md");
    }
}

/// A relative link; where a test is shown in code and the target is Rust, the test has to be in that file.
fn follow(page: &Path, shown: &str, target: &str) -> Result<(), String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    if path.is_dir() && anchor.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(&path).map_err(|_| format!("there is no {}", path.display()))?;
    let is = |extension| path.extension().is_some_and(|found| found == extension);
    let test = shown.trim_matches('`');
    if is("rs") && shown.starts_with('`') && !text.contains(&format!("fn {test}(")) {
        return Err(format!("there is no `fn {test}` in it"));
    }
    let has = |line: &str| line.starts_with('#') && slug(line) == anchor;
    if is("md") && !anchor.is_empty() && !text.lines().any(has) {
        return Err("there is no such heading".to_owned());
    }
    Ok(())
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    words.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

/// Text and target of `[text](target)`, outside code blocks.
fn links(text: &str) -> Vec<(&str, &str)> {
    let prose = text.split("```").step_by(2);
    let ends = prose.flat_map(|part| part.match_indices("](").map(move |(at, _)| (part, at)));
    ends.filter_map(|(part, at)| {
        let shown = &part[part[..at].rfind('[')? + 1..at];
        let target = &part[at + 2..];
        Some((shown, &target[..target.find(')')?]))
    })
    .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder, in order; none if there is no such folder.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `dsl` for `src/dsl.rs` and all below `src/dsl`.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Numbered lines that are neither comments nor tests, which stand last in a file or in files of their own.
fn code_of(path: &Path) -> Vec<(usize, String)> {
    let inside = path.strip_prefix(root()).unwrap().to_str().unwrap();
    if ["tests", "contract", "properties"].iter().any(|name| inside.contains(&format!("/{name}"))) {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    let code = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.map(|(number, line)| (number + 1, line.to_owned())).collect()
}

/// Modules named as `crate::module`.
fn used_modules(line: &str) -> Vec<&str> {
    let rest = line.match_indices("crate::").map(|(at, _)| &line[at + 7..]);
    rest.map(|rest| &rest[..rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len())])
        .filter(|name| !name.is_empty())
        .collect()
}

fn is_function(line: &str) -> bool {
    let words = line.trim_start();
    let signature = words.strip_prefix("pub ").or_else(|| words.split_once(") ").map(|(_, rest)| rest));
    let is = |words: &str| ["fn ", "async fn ", "const fn "].iter().any(|start| words.starts_with(start));
    is(words) || (words.starts_with("pub") && signature.is_some_and(is))
}
