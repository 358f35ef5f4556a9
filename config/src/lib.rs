//! From a configuration file to a fleet.
