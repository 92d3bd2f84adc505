//! Two processes are two values here: a lock belongs to an open file, not to a process.

use super::{StateDirectory, Wanted};
use crate::record::TaskId;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const TASK: TaskId = TaskId { subtopology: 0, partition: 3 };
const OTHER: TaskId = TaskId { subtopology: 1, partition: 0 };

fn wanted(state_dir: &Path, seed: u64) -> Wanted<'_> {
    Wanted { state_dir, application_id: "app", instance: None, seed }
}

fn take(state_dir: &Path, seed: u64) -> Arc<StateDirectory> {
    Arc::new(StateDirectory::take(&wanted(state_dir, seed)).expect("taken"))
}

fn given<'a>(state_dir: &'a Path, instance: &'a str) -> Wanted<'a> {
    Wanted { instance: Some(instance), ..wanted(state_dir, 0) }
}

#[test]
fn processes_take_the_smallest_free_places_and_keep_their_ids() {
    let root = tempfile::tempdir().expect("a directory");
    let (first, second, third) = (take(root.path(), 1), take(root.path(), 2), take(root.path(), 3));
    for (number, place) in [&first, &second, &third].into_iter().enumerate() {
        assert_eq!(place.path(), root.path().join("app").join(number.to_string()));
    }
    let ids: BTreeSet<&str> = [&first, &second, &third].map(|place| place.instance()).into();
    assert_eq!(ids.len(), 3);
    let id = second.instance().to_owned();
    drop(second);
    // Another seed: the id is the place's.
    let again = take(root.path(), 99);
    assert_eq!((again.instance(), again.path()), (id.as_str(), root.path().join("app/1").as_path()));
}

#[test]
fn many_at_once_never_share_a_place() {
    let root = tempfile::tempdir().expect("a directory");
    let taken: Vec<Arc<StateDirectory>> = std::thread::scope(|scope| {
        let path = root.path();
        let takers: Vec<_> = (0..16).map(|seed| scope.spawn(move || take(path, seed))).collect();
        takers.into_iter().map(|taker| taker.join().expect("taken")).collect()
    });
    let paths: BTreeSet<&Path> = taken.iter().map(|place| place.path()).collect();
    let expected: BTreeSet<_> = (0..16).map(|n| root.path().join(format!("app/{n}"))).collect();
    assert_eq!(paths, expected.iter().map(PathBuf::as_path).collect());
}

#[test]
fn an_instance_that_is_asked_for_twice_is_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let unnamed = take(root.path(), 1);
    let named = StateDirectory::take(&given(root.path(), "blue")).expect("taken");
    assert_eq!((named.instance(), named.path()), ("blue", root.path().join("app/1").as_path()));
    let error = StateDirectory::take(&given(root.path(), "blue")).expect_err("twice").to_string();
    let process = format!("process: {}", std::process::id());
    for part in ["app/1 is in use", "instance: blue", process.as_str(), "another group.instance.id"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    drop((named, unnamed));
    // Its place stays its own while it is away.
    let (zero, next) = (take(root.path(), 3), take(root.path(), 4));
    assert_eq!((zero.path(), next.path()), (&*root.path().join("app/0"), &*root.path().join("app/2")));
    let back = StateDirectory::take(&given(root.path(), "blue")).expect("taken again");
    assert_eq!(back.path(), root.path().join("app/1"));
    let error = StateDirectory::take(&given(root.path(), "a\nb")).expect_err("not an id");
    assert!(error.is_invalid_config(), "{error}");
}

#[test]
fn a_newer_format_is_refused_with_a_way_out() {
    let root = tempfile::tempdir().expect("a directory");
    let place = take(root.path(), 1);
    let (format, path) = (place.path().join("format"), place.path().to_owned());
    drop(place);
    assert_eq!(fs::read_to_string(&format).expect("there"), "1\n");
    for text in ["2\n", "what"] {
        fs::write(&format, text).expect("written");
        let error = StateDirectory::take(&wanted(root.path(), 1)).expect_err("unknown");
        let way_out = format!("run that version, or remove {}", path.display());
        assert!(error.is_state() && error.to_string().contains(&way_out), "{error}");
    }
}

#[test]
fn what_writes_the_state_is_noted() {
    let root = tempfile::tempdir().expect("a directory");
    let place = take(root.path(), 1);
    assert_eq!(place.note_topology("a\nb").expect("noted"), None);
    assert_eq!(place.note_topology("a\nb").expect("noted"), None);
    assert_eq!(place.note_topology("a\nc").expect("noted").as_deref(), Some("a\nb"));
    assert_eq!(fs::read_to_string(place.path().join("topology")).expect("there"), "a\nc");
}

#[test]
fn what_nobody_owns_goes_after_the_delay() {
    let root = tempfile::tempdir().expect("a directory");
    let delay = Duration::from_millis(100);
    let nobody = BTreeSet::new();
    let mut place = take(root.path(), 1);
    for task in [TASK, OTHER] {
        fs::create_dir_all(place.task_path(task)).expect("made");
        fs::write(place.task_path(task).join("data"), "x").expect("written");
    }
    let clean = |place: &StateDirectory, owned: &BTreeSet<TaskId>, date: i64| {
        place.clean(owned, Timestamp(date), delay).expect("cleaned")
    };
    assert_eq!(clean(&place, &[TASK, OTHER].into(), 1_000), []);
    assert_eq!(clean(&place, &[OTHER].into(), 5_000), [], "it is idle from now on");
    assert_eq!(clean(&place, &[OTHER].into(), 5_099), []);
    // Owned again, so it counts anew; and a restart forgets nothing.
    assert_eq!(clean(&place, &[TASK, OTHER].into(), 5_099), []);
    assert_eq!(clean(&place, &[OTHER].into(), 5_100), []);
    drop(place);
    place = take(root.path(), 1);
    let open = place.open_task(TASK).expect("opens");
    assert_eq!(clean(&place, &[OTHER].into(), 9_000), [], "an open one stays");
    drop(open);
    assert_eq!(clean(&place, &nobody, 9_000), []);
    // A clock that goes back starts the delay anew.
    assert_eq!(clean(&place, &[OTHER].into(), 8_000), []);
    assert_eq!(clean(&place, &[OTHER].into(), 8_100), [TASK]);
    assert!(!place.task_path(TASK).exists() && place.task_path(OTHER).join("data").exists());
    assert!(!place.path().join("0_3.idle").exists());
}

#[test]
fn one_copy_is_set_aside() {
    let root = tempfile::tempdir().expect("a directory");
    let place = take(root.path(), 1);
    for text in ["first", "second"] {
        fs::create_dir_all(place.task_path(TASK)).expect("made");
        fs::write(place.task_path(TASK).join("data"), text).expect("written");
        assert_eq!(place.set_aside(TASK).expect("set aside"), place.path().join("0_3.corrupt"));
    }
    assert_eq!(fs::read_to_string(place.path().join("0_3.corrupt/data")).expect("kept"), "second");
    assert!(!place.task_path(TASK).exists());
}

#[test]
fn a_task_is_opened_once() {
    let root = tempfile::tempdir().expect("a directory");
    let place = take(root.path(), 1);
    let open = place.open_task(TASK).expect("opens");
    let error = place.open_task(TASK).expect_err("twice");
    assert!(error.is_disk() && error.to_string().contains("task 0_3"), "{error}");
    place.open_task(OTHER).expect("another one");
    drop(open);
    place.open_task(TASK).expect("opens again");
}

#[test]
fn nothing_is_cleaned_up_under_a_living_process() {
    let root = tempfile::tempdir().expect("a directory");
    let (first, second) = (take(root.path(), 1), take(root.path(), 2));
    let other = Wanted { application_id: "other", ..wanted(root.path(), 3) };
    let other = StateDirectory::take(&other).expect("taken");
    drop(first);
    let error = StateDirectory::clean_up(root.path(), "app").expect_err("one lives").to_string();
    assert!(error.contains("app/1 is in use: it cannot be removed"), "{error}");
    assert!(root.path().join("app/0/instance").exists());
    drop(second);
    StateDirectory::clean_up(root.path(), "app").expect("removed");
    assert!(!root.path().join("app/0").exists() && !root.path().join("app/1").exists());
    assert!(other.path().join("instance").exists());
    StateDirectory::clean_up(root.path(), "never-there").expect("nothing to do");
}

#[test]
fn errors_name_the_path_and_the_way_out() {
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("app"), "a file").expect("written");
    let error = StateDirectory::take(&wanted(root.path(), 1)).expect_err("a file").to_string();
    let path = root.path().join("app").display().to_string();
    assert!(error.contains(&path) && error.contains("a file where a directory should be"), "{error}");
    // Nobody may write here, whoever runs the test.
    #[cfg(target_os = "linux")]
    let error =
        StateDirectory::take(&wanted(Path::new("/proc/self"), 1)).expect_err("not writable").to_string();
    #[cfg(target_os = "linux")]
    assert!(error.contains("/proc/self/app") && error.contains("state.dir"), "{error}");
}
