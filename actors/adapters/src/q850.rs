//! What a far end is told about an end, where it is told at all: the cause of ITU-T Q.850, in a `Reason` header as a rule.

use ifbus_call::Cause;

/// The Q.850 cause of a cause of ours.
pub(crate) const fn q850(cause: Cause) -> u16 {
    match cause {
        Cause::Answered | Cause::Canceled => 16,
        Cause::Busy => 17,
        Cause::NoAnswer => 19,
        Cause::Rejected => 21,
        Cause::Unreachable => 1,
        Cause::Congestion => 34,
        Cause::ServerFailure => 38,
    }
}
