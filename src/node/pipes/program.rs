//! What a plug-in comes to on this node.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Surroundings, plugins};
use crate::node::NodeError;
use crate::pipe::{Plugin, PluginFault, PluginStore};
use crate::sink::air_gap::{Program, Verify};
use crate::spool::Disk;

/// The program of a plug-in, as it runs for a pipe. `hopeless` is told if it is gone, or another one.
///
/// # Errors
/// If nothing external may be run here.
pub(super) fn program<D: Disk>(
    pipe: &str,
    plugin: &Plugin,
    hopeless: mpsc::Sender<String>,
    around: &Surroundings<D>,
) -> Result<Program, NodeError> {
    let failed = |why: String| NodeError::Pipe { pipe: pipe.to_owned(), why };
    if !around.said.plugins.allow {
        return Err(failed(plugins::OFF.to_owned()));
    }
    let (store, kept) = (PluginStore::new(around.disk.clone()), plugin.clone());
    let verify = Verify(Arc::new(move || {
        let verified = store.verify(&kept);
        if let Err(fault) = &verified
            && fault.is_lasting()
        {
            // Once is enough.
            let _told = hopeless.try_send(fault.to_string()).is_ok();
        }
        verified.map_err(PluginFault::into_io)
    }));
    // It runs in another directory than this process.
    let data_dir = std::path::absolute(&around.said.data_dir);
    let data_dir = data_dir.map_err(|error| failed(error.to_string()))?;
    Ok(Program {
        name: plugin.name.spelled().to_owned(),
        path: data_dir.join(plugin.path()),
        arguments: plugin.arguments().map(str::to_owned).collect(),
        data_dir,
        verify,
        pipe: pipe.to_owned(),
    })
}
