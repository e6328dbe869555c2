//! The status as one screen of text.

use std::io::{self, Write};

use super::table::{Side, Table};
use crate::ops::human::{Age, Bytes, Lines, Rate};
use crate::ops::status::{CrossingReport, PipeReport, SpoolReport, Status, TroubleReport};

/// Prints the screen.
pub(super) fn print(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let mut text = Vec::new();
    print_raw(status, &mut text)?;
    // Names of files and messages come from outside.
    write!(out, "{}", Lines(&String::from_utf8_lossy(&text)))
}

fn print_raw(status: &Status, out: &mut impl Write) -> io::Result<()> {
    head(status, out)?;
    troubles(status, out)?;
    crossing(status, out)?;
    pipes(status, out)?;
    intakes(status, out)?;
    rest(status, out)
}

fn head(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let node = &status.node;
    let uptime = Age(node.uptime_seconds);
    write!(out, "{}: {}, {} for {uptime}", node.name, node.role, node.phase)?;
    for listener in &status.listeners {
        write!(out, ", {} on {}", listener.kind, listener.address)?;
    }
    writeln!(out)
}

fn troubles(status: &Status, out: &mut impl Write) -> io::Result<()> {
    if status.trouble.is_empty() && status.trouble_unshown == 0 {
        return writeln!(out, "\nNothing needs a person.");
    }
    let title = if status.needs_person() { "NEEDS A PERSON" } else { "TROUBLE, SEEN" };
    writeln!(out, "\n{title}")?;
    status.trouble.iter().try_for_each(|trouble| one_trouble(trouble, out))?;
    if status.trouble_unshown > 0 {
        writeln!(out, "  and {} more that did not fit", status.trouble_unshown)?;
    }
    Ok(())
}

fn one_trouble(trouble: &TroubleReport, out: &mut impl Write) -> io::Result<()> {
    let mark = if trouble.acknowledged { "seen" } else { "!" };
    let subject = if trouble.subject.is_empty() { "" } else { ":" };
    writeln!(
        out,
        "  {mark} {}{subject}{}  since {}",
        trouble.kind, trouble.subject, trouble.since
    )?;
    writeln!(out, "      {}", trouble.what)?;
    writeln!(out, "      -> {}", trouble.remedy)
}

fn crossing(status: &Status, out: &mut impl Write) -> io::Result<()> {
    if status.crossing.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nUNDER WAY")?;
    status.crossing.iter().try_for_each(|file| one_crossing(file, out))
}

fn one_crossing(file: &CrossingReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  {}  {}", file.lane, file.file)?;
    let (done, rate) = (Bytes(file.done_bytes), Rate(file.bytes_per_second));
    let left = match file.remaining_seconds {
        Some(seconds) => format!("{} left", Age(seconds)),
        None if file.bytes_per_second == 0 => "standing still".to_owned(),
        None => format!("for {}", Age(file.elapsed_seconds)),
    };
    match (file.total_bytes, file.percent) {
        (Some(total), Some(percent)) => {
            let (bar, total) = (bar(percent), Bytes(total));
            writeln!(out, "      [{bar}] {percent:>3} %  {done} of {total}  {rate}  {left}")
        }
        _ => writeln!(out, "      {done}  {rate}  {left}"),
    }
}

fn bar(percent: u64) -> String {
    let done = usize::try_from(percent.min(100)).unwrap_or(0) * BAR_WIDTH / 100;
    "#".repeat(done) + &".".repeat(BAR_WIDTH - done)
}

fn pipes(status: &Status, out: &mut impl Write) -> io::Result<()> {
    if status.pipes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nPIPES")?;
    let mut table = Table::new(&[
        ("name", Side::Left),
        ("state", Side::Left),
        ("far side", Side::Left),
        ("to send", Side::Right),
        ("", Side::Right),
        ("rate", Side::Right),
        ("left", Side::Right),
        ("last answer", Side::Right),
        ("refused", Side::Right),
        ("retries", Side::Right),
    ]);
    for pipe in &status.pipes {
        table.row(pipe_cells(pipe));
    }
    table.print(2, out)?;
    for pipe in status.pipes.iter().filter(|pipe| !pipe.message.is_empty()) {
        writeln!(out, "  {}: {}", pipe.id, pipe.message)?;
    }
    Ok(())
}

fn pipe_cells(pipe: &PipeReport) -> [String; 10] {
    [
        pipe.id.clone(),
        pipe.state.clone(),
        pipe.target.clone(),
        pipe.remaining_entries.to_string(),
        Bytes(pipe.remaining_bytes).to_string(),
        Rate(pipe.bytes_per_second).to_string(),
        pipe.estimated_remaining_seconds
            .map_or_else(|| "?".to_owned(), |left| Age(left).to_string()),
        ago(pipe.last_answer_age_seconds),
        pipe.refused_frames.to_string(),
        pipe.retries.to_string(),
    ]
}

fn intakes(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<_> = status.intakes.iter().filter(|intake| intake.is_used()).collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nTAKEN IN")?;
    let mut table = Table::new(&[
        ("by", Side::Left),
        ("entries", Side::Right),
        ("bytes", Side::Right),
        ("known", Side::Right),
        ("refused", Side::Right),
        ("held", Side::Right),
        ("connections", Side::Right),
        ("last", Side::Right),
    ]);
    for intake in rows {
        table.row([
            intake.kind.clone(),
            intake.accepted_entries.to_string(),
            Bytes(intake.accepted_bytes).to_string(),
            intake.duplicates.to_string(),
            intake.refused.to_string(),
            intake.held.to_string(),
            intake.connections.to_string(),
            ago(intake.last_accept_age_seconds),
        ]);
    }
    table.print(2, out)
}

fn rest(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let (spool, node, landing) = (&status.spool, &status.node, &status.landing);
    let percent = u128::from(spool.bytes) * 100 / u128::from(spool.max_bytes.max(1));
    writeln!(
        out,
        "\nSPOOL       {}: {} entries, {} of {} ({percent} %), {}",
        spool.state,
        spool.entries,
        Bytes(spool.bytes),
        Bytes(spool.max_bytes),
        sequences(spool)
    )?;
    if spool.dropped_entries > 0 {
        writeln!(out, "            {} entries were dropped to make room", spool.dropped_entries)?;
    }
    if status.quarantine.things > 0 {
        let quarantine = &status.quarantine;
        writeln!(out, "QUARANTINE  {} things, {}", quarantine.things, Bytes(quarantine.bytes))?;
    }
    if landing.files + landing.pending_entries > 0 {
        let (files, bytes, waiting) =
            (landing.files, Bytes(landing.bytes), landing.pending_entries);
        writeln!(out, "LANDED      {files} files, {bytes}; {waiting} entries wait")?;
    }
    if landing.removed_files > 0 {
        let (files, bytes) = (landing.removed_files, Bytes(landing.removed_bytes));
        writeln!(out, "            {files} files, {bytes}, were removed to keep its limits")?;
    }
    let (now, peak) = (Bytes(node.memory_bytes), Bytes(node.memory_peak_bytes));
    writeln!(out, "MEMORY      {now}, at most {peak}")?;
    writeln!(out, "IDENTITY    {}  version {}", node.origin_id, node.version)
}

fn sequences(spool: &SpoolReport) -> String {
    let (first, next) = (spool.first_sequence, spool.next_sequence);
    if first < next {
        format!("sequences {first} to {}", next - 1)
    } else {
        format!("the next sequence is {next}")
    }
}

fn ago(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "never".to_owned(), |seconds| format!("{} ago", Age(seconds)))
}

const BAR_WIDTH: usize = 30;
