//! README, guide and the like: links lead somewhere, tests that are named exist, every page is in the summary.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

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
    let named = shown.trim_matches('`');
    if is("rs") && shown.starts_with('`') && !text.contains(&format!("fn {named}(")) {
        return Err(format!("there is no `fn {named}` in it"));
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
