//! Which keys differ between two configurations: what a running node has to be restarted for.

use super::Config;

/// The dotted keys of what a running node cannot change, as far as they differ. Pipes and the log level are not among
/// them: those change while it runs.
pub fn restart_keys(running: &Config, new: &Config) -> Vec<&'static str> {
    let mut keys = Vec::new();
    macro_rules! compare {
        ($($key:literal: $($field:ident).+),+ $(,)?) => {
            $(if running.$($field).+ != new.$($field).+ { keys.push($key); })+
        };
    }
    compare! {
        "name": name,
        "cluster_id": cluster_id,
        "timestamp_precision": timestamp_precision,
        "data_dir": data_dir,
        "spool.segment_bytes": spool.segment_bytes,
        "spool.segment_max_age": spool.segment_max_age,
        "spool.max_bytes": spool.max_bytes,
        "spool.reserve_bytes": spool.reserve_bytes,
        "spool.when_full": spool.when_full,
        "spool.retain_bytes": spool.retain_bytes,
        "spool.retain_hours": spool.retain_hours,
        "gate.enabled": gate.enabled,
        "gate.listen": gate.listen,
        "gate.max_connections": gate.max_connections,
        "gate.max_frame_bytes": gate.max_frame_bytes,
        "gate.allow": gate.allow,
        "gate.local": gate.local,
        "gate.user, gate.password": gate.credentials,
        "session": session,
        "intake.plans": intake,
        "inbox": inbox,
        "landing.enabled": landing.enabled,
        "landing.dir": landing.dir,
        "landing.max_file_bytes": landing.max_file_bytes,
        "landing.max_delay": landing.max_delay,
        "landing.max_bytes": landing.max_bytes,
        "landing.keep_days": landing.keep_days,
        "landing.when_full": landing.when_full,
        "plugins.allow": plugins.allow,
        "plugins.dir": plugins.dir,
        "compat": compat,
        "properties: pipe_sink_timeout_ms": seal_timeout,
        "properties: pipe_all_sinks_rate_limit_bytes_per_second": rate_limit,
        "quarantine.max_bytes": quarantine_max_bytes,
        "alarm.command": alarm_command,
        "status.listen": status_listen,
    }
    keys
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Input, Role, read};
    use super::*;

    fn config(text: &str) -> Config {
        let (config, findings) = read(Input {
            role: Role::Sender,
            file: Some((Path::new("/p.toml"), text)),
            properties: None,
            sets: &[],
            data_dir: None,
            state_directory: None,
            host_name: "box",
        });
        assert!(!findings.has_errors(), "{findings:?}");
        config
    }

    #[test]
    fn keys_that_need_a_restart_are_named_and_those_that_do_not_are_not() {
        let pipe = "[[pipe]]\nname = \"a\"\nsink = { sink = \"iotdb-air-gap-sink\", node-urls = \"h:1\" }\n";
        let before = config("");
        for (text, keys) in [
            ("", &[][..]),
            ("[log]\nlevel = \"debug\"\n", &[]),
            (pipe, &[]),
            ("name = \"x\"\n[spool]\nmax_bytes = \"1GiB\"\n", &["name", "spool.max_bytes"]),
            ("[gate]\nuser = \"u\"\npassword = \"p\"\n", &["gate.user, gate.password"]),
            ("[landing]\nenabled = true\n", &["landing.enabled"]),
            ("[inbox]\ndir = \"/in\"\n", &["inbox"]),
        ] {
            assert_eq!(restart_keys(&before, &config(text)), keys, "{text}");
        }
    }
}
