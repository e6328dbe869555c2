//! `run`: the node in the foreground.

use log::LevelFilter;

use super::{CliError, Ending, Options, load, owner};
use crate::config::{Config, Role, Severity};
use crate::{node, ops};

/// Runs the node until it stops.
pub(super) fn run(role: Role, options: &Options) -> Result<Ending, CliError> {
    let loaded = load::load(role, options)?;
    let remarks: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
    let config = if loaded.has_errors() { loaded.usable()? } else { loaded.config };
    owner::refuse_root(role, &config.data_dir)?;
    ops::log::init(level(config.log_level, options));
    for remark in remarks {
        log::warn!("event=config_remark {remark}");
    }
    let reread = || reread(role, options);
    Ok(Ending::Node(node::run(config, &reread)))
}

/// Reads the configuration again; none if it has mistakes, which are logged.
fn reread(role: Role, options: &Options) -> Option<Config> {
    let loaded = match load::load(role, options) {
        Ok(loaded) => loaded,
        Err(error) => {
            log::error!("event=config_unreadable error=\"{error}\"");
            return None;
        }
    };
    for finding in &loaded.findings {
        match finding.severity {
            Severity::Error => log::error!("event=config_mistake {finding}"),
            Severity::Warning => log::warn!("event=config_remark {finding}"),
        }
    }
    if loaded.has_errors() {
        return None;
    }
    let config = loaded.config;
    ops::log::set_level(level(config.log_level, options));
    Some(config)
}

/// What the command line says goes above the configuration.
fn level(configured: LevelFilter, options: &Options) -> LevelFilter {
    match options.verbose {
        _ if options.quiet => LevelFilter::Warn,
        0 => configured,
        1 => configured.max(LevelFilter::Debug),
        _ => LevelFilter::Trace,
    }
}
