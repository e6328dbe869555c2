//! Drivers of the far sides: air gap and landing.

pub mod air_gap;
pub mod landing;
