//! Parts of the stack that need no server.
