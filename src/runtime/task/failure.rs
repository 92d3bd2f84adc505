//! User code fails or panics: it becomes an error with coordinates, and the policy decides.

use crate::error::{Error, ErrorKind, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A panic of user code becomes an error. What it left half done is dropped with the task, unless the record is to be
/// skipped.
#[inline]
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    Error::new(ErrorKind::Processing, "processing panicked")
        .cause(said.unwrap_or_else(|| "a panic without text".to_owned()))
        .with("action", "fail; the offset was not committed")
        .help("standard error has the place in the program where it panicked")
}

/// Whether `on_processing_error` decides what becomes of it. State and production errors are never skipped.
pub(super) fn is_processing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Processing | ErrorKind::Calendar | ErrorKind::Timestamp)
}
