//! Drivers of the far sides: air gap and landing.
