//! Payload of a file entry.

/// The files of one file entry, with what is needed to pass them on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileList<'a> {
    /// Type of the seal with which the files came (5, 9, 102, 202); 2 and others: the file holds one whole request of
    /// that type; 0: from the inbox.
    pub request_type: u16,
    pub(crate) files: &'a [u8],
    pub(crate) file_count: u16,
    pub(crate) parameters: &'a [u8],
    pub(crate) parameter_count: u16,
}

/// One file of a [`FileList`], in the order of the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedFile<'a> {
    /// Its name at the source; `None`: the seal names an optional file that is absent.
    pub name: Option<&'a str>,
    /// Its length.
    pub bytes: u64,
    /// Its hash (blake3).
    pub hash: [u8; 32],
    pub(crate) adopted: bool,
}

#[expect(clippy::unimplemented, unused_variables, reason = "signatures land first")]
impl<'a> FileList<'a> {
    /// Parses the payload of a file entry; `None` if it is not one.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        unimplemented!()
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = ListedFile<'a>> {
        std::iter::empty()
    }

    /// Parameters of the seal: key and value, which may be null.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        std::iter::empty()
    }
}
