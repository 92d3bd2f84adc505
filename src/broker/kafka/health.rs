//! What a client says about its connections, between the answers to its calls.

use super::ffi::{KafkaError, Severity};
use crate::broker::{Failure, FailureKind};
use rdkafka::types::RDKafkaErrorCode as Code;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Refusals in a row, without an answer between them, after which waiting is given up: a broker that has just started
/// may not know its users yet.
const PATIENCE: u32 = 3;

/// Errors that belong to no call.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Times that a broker has refused this client, and what it said last.
    refusals: u32,
    refusal: String,
    /// Errors of any kind.
    troubles: u64,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn error(&self, client: &str, error: &KafkaError) {
        let mut state = self.state();
        state.troubles += 1;
        if is_refusal(error.code) {
            state.refusals += 1;
            state.refusal.clone_from(&error.message);
        }
        drop(state);
        // A connection that is lost is found again; what does not come back is told by the call that waits for it.
        tracing::warn!(client, "{} ({:?})", error.message, error.code);
    }

    /// A broker has answered.
    pub(super) fn answered(&self) {
        self.state().refusals = 0;
    }

    /// Errors so far: a producer with an error since its transaction began is not trusted with another.
    pub(super) fn troubles(&self) -> u64 {
        self.state().troubles
    }

    /// Why there will be no answer, if waiting is in vain.
    pub(super) fn refused(&self) -> Option<Failure> {
        let state = self.state();
        (state.refusals >= PATIENCE).then(|| {
            let text = format!(
                "the broker refuses the connection: {}; look at security.protocol, sasl.mechanism, sasl.username, \
                 sasl.password and ssl.ca.location",
                state.refusal
            );
            Failure::new(FailureKind::Fatal, text)
        })
    }
}

fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SSL
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::SecurityDisabled
    )
}

pub(super) fn log(client: &str, severity: Severity, line: &str) {
    match severity {
        Severity::Error => tracing::error!(client, "{line}"),
        Severity::Warning => tracing::warn!(client, "{line}"),
        Severity::Info => tracing::info!(client, "{line}"),
        Severity::Debug => tracing::debug!(client, "{line}"),
    }
}
