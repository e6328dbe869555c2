//! The commands for files keep within the programs' memory, however many devices a file has.

use std::ffi::OsStr;
use std::fs::File;
use std::io::BufWriter;
use std::process::Command;

use penstock::data::DataType;
use penstock::tsfile::device::DeviceId;
use penstock::tsfile::encoding::Values;
use penstock::tsfile::write::{Column, MemoryScratch, Settings, WriteError, Writer, Written};
use penstock_e2e::LOAD_MEMORY_MAX;
use penstock_test_support::programs::{Program, Programs};
use penstock_test_support::watched;

const DEVICES: u64 = 200_000;

/// A file of devices with one point each.
fn write(file: File) -> Result<Written, WriteError> {
    let scratches: [MemoryScratch; 2] = Default::default();
    let mut writer = Writer::new(BufWriter::new(file), scratches, Settings::default())?;
    for device in 0..DEVICES {
        writer.device(&DeviceId::of_path(format!("root.sg.plant.d{device:06}")))?;
        writer.series(Column::new("s", DataType::Double))?;
        writer.points(&[1], &Values::Doubles(vec![0.5]))?;
    }
    Ok(writer.finish()?.1)
}

/// What grows with a file is its index, not its pages: so a file with one row for each device shows as much as one of
/// gigabytes, which the benchmarks have.
#[test]
fn a_file_of_200_000_devices_is_listed_checked_and_cut_in_8_mib() {
    let folder = tempfile::tempdir().unwrap();
    let [file, made] = ["devices.tsfile", "made.tsfile"].map(|name| folder.path().join(name));
    assert_eq!(write(File::create(&file).unwrap()).unwrap().devices, DEVICES);
    let program = Programs::build().unwrap().path(Program::Receiver);
    let (file, made) = (file.as_os_str(), made.as_os_str());
    let commands: [&[&OsStr]; 4] = [
        &["ls".as_ref(), file],
        &["check".as_ref(), "--quick".as_ref(), file],
        &["check".as_ref(), file],
        &["cut".as_ref(), file, "-o".as_ref(), made],
    ];
    for arguments in commands {
        let took = watched::watch(Command::new(program).arg("tsfile").args(arguments)).unwrap();
        let (peak, most) = (took.peak_bytes / 1024, LOAD_MEMORY_MAX / 1024);
        assert!(peak > 0 && peak <= most, "{arguments:?}: {peak} KiB, allowed are {most}");
    }
}
