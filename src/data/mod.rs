//! Data types, tablets, series paths, time ranges.
