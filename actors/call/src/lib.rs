//! The vocabulary of ifbus and the choreography of a call.
