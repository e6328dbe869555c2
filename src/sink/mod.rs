//! Drivers of the far sides: air gap, landing, and the one that has none.

pub mod air_gap;
pub mod cuts;
pub mod landing;
pub mod nothing;
