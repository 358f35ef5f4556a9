//! The kinds of SIP server ifbus speaks to, as machines without input or output.
