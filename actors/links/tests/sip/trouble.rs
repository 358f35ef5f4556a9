//! Things that go wrong: restarts, silence, glare.
