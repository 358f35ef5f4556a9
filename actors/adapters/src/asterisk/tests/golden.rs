//! Whole sessions recorded between this adapter and real servers.
