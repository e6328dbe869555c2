//! Clock, log, metrics, status, trouble, watchdog.
