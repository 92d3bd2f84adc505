//! What an error of librdkafka or of a broker means for whoever called.

use super::ffi::KafkaError;
use crate::broker::{Failure, FailureKind};
use rdkafka::types::RDKafkaErrorCode as Code;

/// What was called: the same error means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Reads and questions: they change nothing, so they can always be repeated.
    Ask,
    /// Something that a broker may have done although the answer is missing.
    Change,
}

/// The failure of a call on something that is named.
pub(super) fn failure(error: &KafkaError, call: Call, on: &str) -> Failure {
    Failure::new(kind(error, call), format!("{on}: {} ({:?})", error.message, error.code))
}

fn kind(error: &KafkaError, call: Call) -> FailureKind {
    match error.code {
        // Whatever its flags say.
        Code::Fenced | Code::ProducerFenced => FailureKind::Fenced,
        // The broker's transaction is not ours any longer: only a new producer can go on.
        Code::InvalidProducerEpoch | Code::InvalidTransactionalState | Code::InvalidProducerIdMapping => {
            FailureKind::Fenced
        }
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::FencedInstanceId
        | Code::StaleMemberEpoch
        | Code::RebalanceInProgress => FailureKind::Abortable,
        Code::OffsetOutOfRange | Code::AutoOffsetReset => FailureKind::OutOfRange,
        // Told while a broker starts, too: whether the topic is gone is asked before anything is read again.
        Code::UnknownTopicOrPartition | Code::UnknownPartition if error.abort => FailureKind::Abortable,
        code if is_of_the_caller(code) => FailureKind::Fatal,
        code if is_waiting(code) => match call {
            Call::Ask => FailureKind::Retriable,
            Call::Change => FailureKind::Unknown,
        },
        _ if error.abort => FailureKind::Abortable,
        _ if error.retriable => FailureKind::Retriable,
        _ if error.fatal => FailureKind::Fenced,
        code if is_passing(code) => FailureKind::Retriable,
        _ => FailureKind::Fatal,
    }
}

/// Nothing but another program, configuration or right will help.
fn is_of_the_caller(code: Code) -> bool {
    matches!(
        code,
        Code::MessageSizeTooLarge
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::MessageBatchTooLarge
            | Code::OffsetMetadataTooLarge
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::PolicyViolation
            | Code::InvalidArgument
            | Code::State
            | Code::NotConfigured
    )
}

/// No answer came in time.
fn is_waiting(code: Code) -> bool {
    matches!(
        code,
        Code::OperationTimedOut | Code::RequestTimedOut | Code::MessageTimedOut | Code::TimedOutQueue
    )
}

/// It is the cluster's state of the moment.
fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::QueueFull
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NetworkException
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotController
            | Code::UnstableOffsetCommit
            | Code::ConcurrentTransactions
            | Code::ThrottlingQuotaExceeded
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::WaitingForCoordinator
            | Code::Retry
            | Code::InProgress
            | Code::PreviousInProgress
            | Code::Outdated
            | Code::NoOffset
            | Code::AssignmentLost
            | Code::PurgeQueue
            | Code::PurgeInflight
    )
}
