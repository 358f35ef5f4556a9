//! Far ends that do not keep the rules.
