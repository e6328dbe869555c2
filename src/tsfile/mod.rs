//! TsFile v3 and v4: pure functions over positioned reads.
