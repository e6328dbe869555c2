//! Protocol state machines: no I/O, `now` is an argument.
