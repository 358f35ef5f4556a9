//! Faults, scenarios and verdicts.
