//! The identity of a request that is passed on as it is, behind everything else.
//!
//! ```text
//!  version i8 | type i16 | body, as it came          | P1:<origin id>:<sequence>     56 bytes
//!  |------------ lies in the spool ------------------|------- only on the wire ------|
//! ```
//!
//! A tablet has its identity in its plan node id, and a `TsFile` in its name. Every other request that a node sends
//! has it as a trailer: a row whose types the far side finds out (type 2), what belongs to the table model (10, 11,
//! 12), plans (100, 200), and seals of snapshots (102, 202). It is put on where a frame is made and taken off where
//! one comes in, so nothing between knows of it: a spool that was filled before there were trailers is sent with them,
//! and a request is the same for each digest, filter and person whichever way it came.
//!
//! A stock receiver reads these bodies field by field, and leaves what follows the last of them: its own senders put
//! the zeros of their buffers there. So it is in `PipeTransferPlanNodeReq` (`PlanNodeType`), in
//! `PipeTransferConfigPlanReq` (`ConfigPhysicalPlan.Factory`), in `PipeTransferTabletInsertNodeReq`
//! (`PlanFragment.deserializeHelper`), in its V2, in `PipeTransferTabletRawReqV2`, in `PipeTransferTabletBinaryReqV2`,
//! whose log entry has its length in front, and in `PipeTransferFileSealReqV2`. No request that a stock sender makes
//! ends with such a text: what has a plan node id has the count of its children behind it.

use super::cursor::ReadError;
use super::request::Head;
use crate::data::identity::PLAN_NODE_ID_BYTES;
use crate::data::{Identity, ReadAt};

/// Bytes of a trailer.
pub const TRAILER_BYTES: usize = PLAN_NODE_ID_BYTES;

/// A payload without its trailer, and whose it is; the whole payload if there is no trailer.
pub fn split(payload: &[u8]) -> (&[u8], Option<Identity>) {
    payload
        .split_last_chunk::<TRAILER_BYTES>()
        .filter(|(request, _)| <[u8]>::len(request) >= Head::BYTES)
        .and_then(|(request, trailer)| Some((request, Identity::parse_plan_node_id(trailer)?)))
        .map_or((payload, None), |(request, identity)| (request, Some(identity)))
}

/// Whether a request that ends with these bytes says who took it in first: in a trailer, or in the plan node id of a
/// tablet without children. They are the last [`IDENTITY_BYTES_MAX`](crate::limits::IDENTITY_BYTES_MAX), or more.
pub fn is_named(end: &[u8]) -> bool {
    let of_tablet = end.strip_suffix(&[0; 4]).unwrap_or_default();
    [end, of_tablet]
        .into_iter()
        .filter_map(<[u8]>::last_chunk::<TRAILER_BYTES>)
        .any(|id| Identity::parse_plan_node_id(id).is_some())
}

/// Length of a request without its trailer, and whose it is.
///
/// # Errors
/// [`ReadError::Disk`] if its end cannot be read.
pub fn find(request: &(impl ReadAt + ?Sized)) -> Result<(u64, Option<Identity>), ReadError> {
    if let Some(payload) = request.as_bytes() {
        let (request, identity) = split(payload);
        return Ok((ReadAt::len(request), identity));
    }
    let bytes = request.len();
    let at = bytes.checked_sub(TRAILER_BYTES as u64).filter(|at| *at >= Head::BYTES as u64);
    let Some(at) = at else { return Ok((bytes, None)) };
    let mut trailer = [0; TRAILER_BYTES];
    request.read_at(at, &mut trailer).map_err(|error| ReadError::Disk {
        offset: usize::try_from(at).unwrap_or(usize::MAX),
        error,
    })?;
    let identity = Identity::parse_plan_node_id(&trailer);
    Ok((if identity.is_some() { at } else { bytes }, identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{OriginId, Sequence};
    use std::io;

    use proptest::prelude::*;

    /// Bytes that are read as those of a file are.
    struct Spilled<'b>(&'b [u8]);

    impl ReadAt for Spilled<'_> {
        fn len(&self) -> u64 {
            ReadAt::len(self.0)
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
            self.0.read_at(offset, into)
        }
    }

    fn identity() -> Identity {
        Identity { origin: OriginId([0xab; 16]), sequence: Sequence(42) }
    }

    fn assert_found(payload: &[u8], request: &[u8], identity: Option<Identity>) {
        assert_eq!(split(payload), (request, identity));
        let found = (request.len() as u64, identity);
        assert_eq!(find(payload).unwrap(), found);
        assert_eq!(find(&Spilled(payload)).unwrap(), found);
    }

    #[test]
    fn a_request_is_named_by_its_trailer_and_by_the_plan_node_id_of_a_tablet() {
        let id = identity().plan_node_id();
        for (rest, named) in [(&[][..], true), (&[0; 4], true), (&[0; 3], false), (&[1; 4], false)]
        {
            let end = [b"\0\0\0\x38", id.as_bytes(), rest].concat();
            assert_eq!(is_named(&end), named, "{rest:?}");
        }
        assert!(!is_named(&[0; 64]));
        assert!(!is_named(&id.as_bytes()[1..]));
    }

    #[test]
    fn a_trailer_is_found_behind_any_request_and_nowhere_else() {
        let trailer = identity().plan_node_id();
        for request in [&b"\x01\0\x64"[..], b"\x01\0\x64\0\x2c", &[0; 100]] {
            assert_found(request, request, None);
            assert_found(&[request, trailer.as_bytes()].concat(), request, Some(identity()));
            let moved = [request, trailer.as_bytes(), b"\0"].concat();
            assert_found(&moved, &moved, None);
        }
        // What would be left is no request.
        for rest in [&b""[..], b"\x01\0"] {
            let payload = [rest, trailer.as_bytes()].concat();
            assert_found(&payload, &payload, None);
        }
    }

    #[test]
    fn the_tail_of_a_tablet_is_no_trailer() {
        let tablet = [b"\x01\0\x02..", identity().plan_node_id().as_bytes(), &[0; 4]].concat();
        assert_found(&tablet, &tablet, None);
    }

    proptest! {
        #[test]
        fn every_request_is_the_same_with_and_without(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            origin: [u8; 16],
            sequence: u64,
        ) {
            let identity = Identity { origin: OriginId(origin), sequence: Sequence(sequence) };
            let request = [&b"\x01\0\x64"[..], &body].concat();
            let payload = [&request, identity.plan_node_id().as_bytes()].concat();
            assert_found(&request, &request, None);
            assert_found(&payload, &request, Some(identity));
        }
    }
}
