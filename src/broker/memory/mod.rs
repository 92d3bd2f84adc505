//! The in-process log.
