//! What moves the bytes between ifbus and the servers.
