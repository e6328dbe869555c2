//! Builds the parts from the configuration, runs them, stops them.
