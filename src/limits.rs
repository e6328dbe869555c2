//! Every limit of the programs, with its reason. Sizes in bytes, times in their type.
//!
//! Relations that the code relies on are asserted at compile time at the end of the file.

use std::time::Duration;

/// Bytes in one KiB.
pub const KIB: usize = 1024;
/// Bytes in one MiB.
pub const MIB: usize = 1024 * KIB;

/// Largest payload of one spool entry. Larger values go to the file store; larger tablets are split.
pub const ENTRY_BYTES_MAX: usize = MIB;
/// Size that the splitter aims at, so that the staging buffers stay small.
pub const ENTRY_BYTES_TARGET: usize = 192 * KIB;
/// Largest request that is kept in memory while it arrives; a larger one goes to a spill file.
pub const REQUEST_MEMORY_BYTES_MAX: usize = MIB + 64 * KIB;
/// One of the two batches between gate and spool thread: a part as the splitter makes them, and some
/// small things. A larger request goes over in the buffer that it was collected in.
pub const STAGE_BYTES: usize = ENTRY_BYTES_TARGET + 64 * KIB;
/// Records of such a batch: several for each connection of a large table.
pub const STAGE_RECORDS: usize = 1024;
/// Calls to the spool thread that wait at one time.
pub const SPOOL_CALLS_MAX: usize = 32;
/// Buffers for requests of up to [`REQUEST_MEMORY_BYTES_MAX`] that arrive at one time.
pub const REQUEST_BUFFERS: usize = 2;
/// Buffers for requests of up to [`SMALL_REQUEST_BYTES_MAX`].
pub const SMALL_REQUEST_BUFFERS: usize = 16;
/// What is a small request.
pub const SMALL_REQUEST_BYTES_MAX: usize = 16 * KIB;
/// The buffer that the gate thread reads into.
pub const READ_BYTES: usize = 128 * KIB;
/// What one connection may read before the next one has its turn.
pub const TURN_BYTES: usize = 256 * KIB;
/// Default of `[gate] max_frame_bytes`: what stock 2.0 takes at most.
pub const FRAME_BYTES_MAX_DEFAULT: usize = 64 * MIB;
/// What the identity adds to a request where it is sent on, at most: a tablet's plan node id with its length, and no
/// children. A request that has one may be longer than `max_frame_bytes` by this, so that what one node takes the next
/// one takes, too.
pub const IDENTITY_BYTES_MAX: u32 = 64;
/// Handshakes are a few hundred bytes; nothing longer is read before one was accepted, and a connection
/// holds so much of its own.
pub const HANDSHAKE_BYTES_MAX: usize = 4 * KIB;
/// A first frame that has begun is whole within this time, or its connection makes room.
pub const FIRST_FRAME_MAX: Duration = Duration::from_secs(30);

/// What a stock sender gives a thrift connection until its handshake is answered.
pub const THRIFT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests of an asynchronous thrift sink that are under way at the same time, as a stock sender has clients for tablets.
pub const AHEAD_CONNECTIONS: usize = 4;
/// Tablets of one request of several: what is taken back after a failure goes one by one.
pub const AHEAD_ENTRIES_MAX: u32 = 1024;
/// Bytes of a request of several tablets, if so many are under way: all of them share what a single one may have.
pub const fn ahead_bytes_max(connections: usize) -> usize {
    match REQUEST_MEMORY_BYTES_MAX.checked_div(connections) {
        Some(bytes) => bytes,
        None => REQUEST_MEMORY_BYTES_MAX,
    }
}
/// Tablets that are read before others have their turn.
pub const AHEAD_TURN: usize = 64;
/// A node that did not take a connection is not tried before the others for so long.
pub const NODE_REST: Duration = Duration::from_secs(60);
/// What a call of IoTDB's client RPC, or a reply, may become in memory: a login, the statuses of a thousand tablets. What
/// clients write is read where it lies.
pub const THRIFT_MEMORY_BYTES_MAX: usize = MIB;

/// Requests of clients that are in memory at one time, all of them together.
pub const SESSION_MEMORY_BYTES: usize = 2 * MIB;
/// What such requests become before the gate thread has it, all of them together: one of the largest.
pub const SESSION_MADE_BYTES: usize = REQUEST_MEMORY_BYTES_MAX;
/// A request that takes no more waits for nobody who writes much.
pub const SESSION_SMALL_BYTES: usize = 16 * KIB;
/// One such request: about what becomes one entry of the spool. What a pipe brings goes by, and may be larger.
pub const SESSION_REQUEST_BYTES_MAX: usize = MIB;
/// Connections of clients at one time.
pub const SESSION_CONNECTIONS_MAX: usize = 64;
/// Guests of the gate thread for each of them: a client may write, and its connection may be a pipe's.
pub const SESSION_GUESTS_EACH: usize = 2;
/// Statements of one request: each is answered for itself.
pub const SESSION_LIST_MAX: usize = 1024;
/// Tablets of one request: each may be answered for itself, which takes some hundred bytes.
pub const SESSION_TABLETS_MAX: usize = 4096;
/// Longest name of a method; those of the service have fifty letters.
pub const SESSION_METHOD_BYTES_MAX: usize = 64;
/// Longest name of a time zone.
pub const SESSION_ZONE_BYTES_MAX: usize = 64;
/// A frame that has begun goes on within this time, or its connection ends.
pub const SESSION_READ_MAX: Duration = Duration::from_secs(30);
/// A request that is read whole is whole within this time: it holds a share of what all have.
pub const SESSION_REQUEST_MAX: Duration = Duration::from_secs(60);
/// One such request before a login: who logs in sends a few hundred bytes.
pub const SESSION_LOGIN_BYTES_MAX: usize = SESSION_SMALL_BYTES;
/// Nobody who has not logged in keeps a connection for longer than this without a word.
pub const SESSION_LOGIN_MAX: Duration = Duration::from_secs(60);
/// A client that says nothing for so long has gone; one that is alive opens its session again by itself.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A reply that nobody reads ends its connection.
pub const SESSION_WRITE_MAX: Duration = Duration::from_secs(30);
/// How long a write waits for a spool that is full; then its client is told to try again.
pub const SESSION_HOLD_MAX: Duration = Duration::from_secs(10);
/// Portion in which a pipe's request goes by.
pub const SESSION_PORTION_BYTES: usize = 16 * KIB;
/// Wrong passwords from one address before it has to wait.
pub const LOGIN_FAILURES_FREE: u32 = 5;
/// The first pause; it doubles each time.
pub const LOGIN_PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
pub const LOGIN_PAUSE_MAX: Duration = Duration::from_secs(300);
/// Addresses whose failures are remembered.
pub const LOGIN_ADDRESSES_MAX: usize = 256;

/// Longest text that names a path, a file or a key on the wire.
pub const NAME_BYTES_MAX: usize = 4 * KIB;
/// Longest file name: what Linux file systems take, less room for our own suffixes.
pub const FILE_NAME_BYTES_MAX: usize = 200;
/// Columns of one tablet: IoTDB's practical maximum, and 17 bytes of memory each while splitting.
pub const COLUMNS_MAX: usize = 16 * KIB;
/// Plug-ins of a node: each is shown in one table.
pub const PLUGINS_MAX: usize = 64;
/// The program of a plug-in, which is read before each start.
pub const PLUGIN_BYTES_MAX: usize = 32 * MIB;
/// The name of a plug-in becomes a file's.
pub const PLUGIN_NAME_BYTES_MAX: usize = 64;
/// What is run for a plug-in.
pub const PLUGIN_COMMAND_BYTES_MAX: usize = KIB;
/// Address space of a plug-in's process: that of an interpreter with its libraries, of which little is in memory.
pub const PLUGIN_MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// For a plug-in whose socket has ended to end by itself, so that it can be told how: a process has done so at once.
pub const PLUGIN_END_MAX: Duration = Duration::from_millis(100);
/// How often it is looked at meanwhile.
pub const PLUGIN_END_STEP: Duration = Duration::from_millis(5);
/// Of what a plug-in writes to its standard error the log takes so many lines in a period: a traceback.
pub const PLUGIN_LINES_MAX: u64 = 40;
/// That period.
pub const PLUGIN_LINES_PERIOD: Duration = Duration::from_secs(60);
/// The most of one such line.
pub const PLUGIN_LINE_BYTES_MAX: usize = 240;
/// Series of one pipe that are sampled, 64 to 128 bytes each; points of others all stay. Memory grows with the series.
pub const SAMPLED_SERIES_MAX: usize = 16 * KIB;
/// Dead letters that a replay notes at one time, 16 bytes each; it lists the directory once for so many.
pub const LETTERS_LISTED_MAX: usize = 256;
/// Properties of one measurement's schema; stock peers send none or one.
pub const SCHEMA_PROPERTIES_MAX: usize = 64;
/// Paths of one deletion; stock peers send as many as the statement names.
pub const DELETE_PATHS_MAX: usize = 4 * KIB;
/// Nodes of one path.
pub const PATH_NODES_MAX: usize = 256;
/// Window through which a spilled request is read; rows of one part lie within it, too.
pub const SPLIT_WINDOW_BYTES: usize = 64 * KIB;
/// Rows that are put together into one tablet; 8 bytes of memory each.
pub const SPLIT_ROWS_MAX: usize = KIB;
/// Entries of a handshake map; stock peers send eleven.
pub const HANDSHAKE_KEYS_MAX: usize = 64;
/// Files of one seal: stock peers send at most three.
pub const SEAL_FILES_MAX: usize = 8;
/// Parameters of one seal; stock peers send at most eight.
pub const SEAL_PARAMETERS_MAX: usize = 32;
/// Largest stated size of a compressed request that is read at all; what is undone is bounded by
/// `max_frame_bytes`. Stock peers refuse more.
pub const COMPRESSED_BYTES_MAX: usize = 1024 * MIB;
/// Files that one connection may have open: a stock seal names at most three.
pub const FILES_PER_CONNECTION_MAX: usize = 4;
/// Largest request that is put together from slices; a Java array cannot hold twice as much.
pub const SLICED_BYTES_MAX: usize = 1024 * MIB;
/// Nested wrappers (compressed in sliced and the like) that are undone.
pub const WRAPPERS_MAX: usize = 4;

/// Connections of the gate's table by default: two stock peers with default pipes and forty strangers fit.
pub const CONNECTIONS_MAX_DEFAULT: usize = 64;
/// Connections that can be asked for: twenty stock peers with eleven each. Each costs a buffer of a few
/// KiB and a file handle.
pub const CONNECTIONS_MAX: usize = 256;
/// How long an answer is held while the spool cannot take data, before the connection is reset.
pub const HOLD_MAX: Duration = Duration::from_secs(600);
/// A refusal of an unknown request leaves no sooner than this after its frame: stock peers repeat at once.
pub const REFUSAL_DELAY: Duration = Duration::from_secs(1);
/// On an orderly stop, what is synced within this time is still answered.
pub const STOP_ANSWER_MAX: Duration = Duration::from_secs(4);
/// A connection without traffic is probed after this, so that one without a peer is found out.
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// Time between two probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Probes without an answer that end a connection.
pub const KEEPALIVE_PROBES: u32 = 8;
/// An answer that nobody acknowledges ends its connection after this.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(180);
/// An answer that is held for this long is counted as held.
pub const HOLD_SHOWN_AFTER: Duration = Duration::from_secs(2);
/// A request that waits for a free buffer goes to disk after this: who holds the buffers may be stalled.
pub const LEND_WAIT: Duration = Duration::from_millis(200);
/// Connections that could not be accepted for want of file handles or memory are tried again after this.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(200);
/// A full quarantine is tried again after this.
pub const QUARANTINE_RETRY: Duration = Duration::from_secs(1);
/// A sender reconnects before the first frame after this much silence.
pub const SILENCE_MAX: Duration = Duration::from_secs(600);
/// Targets of one sink: more gates than any plant has, few enough to try in one round.
pub const NODE_URLS_MAX: usize = 16;
/// Longest host name (RFC 1035).
pub const HOST_BYTES_MAX: usize = 255;
/// Default of `sink.air-gap.handshake-timeout-ms`, for the connect and for the handshake's answer.
pub const HANDSHAKE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// How long a tablet or a file piece may stay unanswered: what stock senders of 2026 wait.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a seal may stay unanswered at first: `pipe_sink_timeout_ms`; the load is part of it.
pub const SEAL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(900);
/// The longest that the limit of a seal is doubled to.
pub const SEAL_TIMEOUT_MAX: Duration = Duration::from_secs(86_400);
/// Default size of a file piece: fits receivers with small heaps.
pub const PIECE_BYTES_DEFAULT: usize = MIB;
/// Largest size of a file piece that can be asked for; stock receivers take less than 64 MiB.
pub const PIECE_BYTES_MAX: usize = 256 * MIB;
/// Sinks of a node that have a whole piece of a file in memory; others stream theirs, however many pipes there are.
pub const LARGE_FRAMES_MAX: usize = 2;
/// First pause of a sender after a failure; doubles with each.
pub const SENDER_PAUSE_FIRST: Duration = Duration::from_millis(250);
/// Longest pause of a sender: a gate that came back is used within this time.
pub const SENDER_PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a frame in flight keeps waiting for its answer after the order to stop.
pub const STOP_GRACE: Duration = Duration::from_secs(4);

/// How long `STOP`, `DROP` and `ALTER` wait for the answer to the frame in flight; then it is repeated one day.
pub const PIPE_STOP_MAX: Duration = Duration::from_millis(500);
/// First pause of a pipe that an error of our own has stopped; doubles with each.
pub const PIPE_RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest pause of such a pipe: a secret that was put right is used within this time.
pub const PIPE_RETRY_MAX: Duration = Duration::from_secs(60);

/// Finished ranges that a cursor keeps beyond its position: lanes and frames in flight of one pipe.
pub const CURSOR_RANGES_MAX: usize = 64;
/// How many of them there may be where fresh entries begin to overtake a backlog anew; the rest is for `SKIP`.
pub const LANE_RANGES_MAX: usize = CURSOR_RANGES_MAX / 2;
/// Consumers of one spool: pipes and the landing; each costs a file handle and two blocks.
pub const CONSUMERS_MAX: usize = PIPES_MAX + 16;
/// Partials at one time: four for each connection of a table of the default size (a seal names up to four
/// files), and for each of the session service; one for each of the largest. Who finds none is reset, so that those with files can seal them.
pub const PARTIALS_MAX: usize = 512;
/// Bytes that a reader of the spool or recovery holds at one time: sixteen entries of 4 KiB for one read.
pub const SPOOL_WINDOW_BYTES: usize = 64 * KIB;
/// Bytes of a growing file that may be dirty, so that no sync is long: 0.4 s on a disk of 20 MB/s.
pub const DIRTY_BYTES_MAX: u64 = 8 * MIB as u64;
/// So many dirty bytes of it make the disk begin to write, so that the sync finds most of them written.
pub const DIRTY_BYTES_BEGIN: u64 = MIB as u64;
/// Segments of a spool: 1 TiB of full ones, at 24 bytes of memory each.
pub const SEGMENTS_MAX: usize = 64 * KIB;
/// With more segments than this none closes by age, so that a long outage of slow data does not use up the table.
pub const SEGMENTS_AGED_MAX: usize = 4 * KIB;
/// Penstock origins of which received ranges are known; the one that was silent longest is forgotten.
pub const ORIGINS_MAX: usize = 64;
/// Bytes of digests of what origins have sent, of all together: eight origins' that are kept whole. Beside the quota, in
/// the reserve of the file system.
pub const SEEN_BYTES_MAX: u64 = 64 * MIB as u64;
/// Received ranges of all origins together, 16 bytes each; the oldest are forgotten, and their repetition is taken twice.
pub const RECEIVED_RANGES_MAX: usize = 8 * KIB;
/// Links of stock peers at one time: those of a full table, and the pipes of the session service.
pub const LINKS_MAX: usize = CONNECTIONS_MAX + SESSION_CONNECTIONS_MAX;
/// Unconfirmed requests of stock peers: one for each link, and as many of lost ones.
pub const UNCONFIRMED_MAX: usize = 2 * LINKS_MAX;
/// Devices by which tablets of such a request are told to have been written again: more than a row or a tablet has; of
/// a large batch any may have been.
pub const UNCONFIRMED_DEVICES_MAX: usize = 16;
/// How long a request of a lost connection waits for its repetition. A stock peer repeats as soon as it is connected
/// again; what is equal much later was asked for anew, as by an operator who has lost files sent again.
pub const UNCONFIRMED_AGE_MAX: Duration = Duration::from_secs(3600);
/// Bytes of a consumer's name: three times as long as a file name, escaped.
pub const CONSUMER_NAME_BYTES_MAX: usize = 64;
/// Cursors are synced at most this often while traffic flows; what is replayed is dropped by identity.
pub const CURSOR_SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// Fatal exits for the same error that lead to state `failing`.
pub const FAILING_EXITS: usize = 3;
/// The time in which they count.
pub const FAILING_WINDOW: Duration = Duration::from_secs(600);

/// How often a file of the spool is read before it counts as lost to its disk: a second apart, so a bus that is reset
/// meanwhile has its chance, and the entries behind it do not wait long.
pub const FILE_READS_MAX: u32 = 5;
/// The same for an entry in the spool's log, of which the quarantine gets nothing: ten minutes, as the pauses between
/// tries grow to 16 s. Then it is stepped over, with trouble, so that what lies behind it does not wait for good.
pub const LANDING_LOG_READS_MAX: u32 = 40;
/// The same for a pipe, which tries once a second: ten minutes.
pub const PIPE_LOG_READS_MAX: u32 = 600;
/// Paths of a deletion that a line of the landing directory's ledger has; others land as the request that they are.
pub const LEDGER_PATHS_MAX: usize = 256;
/// The same, bytes of all of them.
pub const LEDGER_PATHS_BYTES_MAX: usize = 8 * KIB;
/// Bytes of the reason that a line of the ledger gives.
pub const LEDGER_WHY_BYTES_MAX: usize = KIB;

/// Memory for the list of a file entry's files: names and parameters at their usual lengths, and room to spare. A longer
/// one gets memory of its own while it lands.
pub const FILE_LIST_BYTES_MAX: usize = 64 * KIB;
/// Bytes that the inbox copies before it syncs.
pub const INBOX_DIRTY_BYTES_MAX: u64 = DIRTY_BYTES_MAX;
/// How long a file of the inbox is left alone that could not be taken.
pub const INBOX_PUT_OFF: Duration = Duration::from_secs(60);

/// Largest page of a `TsFile` that is read, compressed or not: 256 times what stock servers aim at.
pub const TSFILE_PAGE_BYTES_MAX: usize = 16 * MIB;
/// Points of such a page: a hundred times what stock servers write.
pub const TSFILE_PAGE_POINTS_MAX: usize = 1024 * KIB;
/// Metadata block of a `TsFile`, which is read in one go where others wait: hundreds of times what a sound file of 2 GiB
/// has, and some seconds on a slow board.
pub const TSFILE_BLOCK_BYTES_MAX: u64 = 64 * MIB as u64;
/// Memory of a buffer for pages that is kept from one to the next.
pub const TSFILE_KEPT_BYTES: usize = 256 * KIB;
/// Levels of the index of a `TsFile`: with two children a node, more devices than a disk can hold.
pub const TSFILE_INDEX_DEPTH_MAX: usize = 16;
/// How often the bytes of the index of a `TsFile` are read in a walk over its devices. Of a sound file once, and by a deep
/// check, which takes the times of a device before its values, twice and a root more.
pub const TSFILE_INDEX_WALKS_MAX: u64 = 4;
/// Columns of an aligned device that are read side by side; wider ones take more rounds.
pub const TSFILE_COLUMNS_AT_ONCE: usize = 1024;
/// Bytes that are copied at one time from one `TsFile` to another.
pub const TSFILE_COPY_BYTES: usize = 128 * KIB;
/// Bytes of a bloom filter that a check holds: 1.3 million chunks; of a larger one it reads bit by bit.
pub const TSFILE_BLOOM_BYTES: usize = MIB;
/// Bytes that are read at once where many small chunks are copied.
pub const TSFILE_AHEAD_BYTES: usize = 64 * KIB;
/// Schemas of tables that are copied from one `TsFile` to another: ten thousand columns or more.
pub const TSFILE_SCHEMAS_BYTES_MAX: usize = MIB;
/// Columns of an aligned device that a pipe's filter keeps of a file, about 500 bytes each.
pub const CUT_COLUMNS_MAX: usize = 4 * KIB;
/// Rows of a group of an aligned device of which a pipe's filter keeps a part, about 24 bytes each: stock servers put
/// 100,000 in one.
pub const CUT_ROWS_MAX: usize = 128 * KIB;
/// Modification file that is read to cut the file beside it.
pub const CUT_MODS_BYTES_MAX: u64 = MIB as u64;
/// Bytes of tablets of which a pipe has files made at one time: what waits for them, and a crash makes again.
pub const RUN_BYTES: u64 = 16 * MIB as u64;
/// The same, where fresh data overtakes a backlog: it waits while a run crosses, two minutes at 64 kbit/s.
pub const RUN_BYTES_IN_LANES: u64 = MIB as u64;
/// How often files of a run are tried to be made, after growing pauses: a minute. Then its tablets go as they are, so that a
/// disk that has no room for files, or takes none, keeps nothing back.
pub const RUN_TRIES_MAX: u32 = 7;
/// Tablets that a hybrid pipe may send before it is kept anew that they go as they are.
pub const RUN_TABLETS_AHEAD: u64 = 4 * KIB as u64;
/// The same of a pipe that sends files wherever it can; and of any pipe while that cannot be kept.
pub const BATCH_TABLETS_AHEAD: u64 = 64;
/// Deletions that are kept of a modification file.
pub const TSFILE_DELETIONS_MAX: usize = 64 * KIB;

/// Index of a `TsFile` of which devices and points are counted when it lands: some 300 000 series, a second's work at most.
pub const LANDING_INDEX_BYTES_MAX: u64 = 32 * MIB as u64;

/// Bytes of tablets, as they count in memory, that are sorted there at one time to become a `TsFile`.
pub const TWIN_ARENA_BYTES: usize = 192 * KIB;
/// Window through which an entry is looked through on its way into a run.
pub const TWIN_SCAN_BYTES: usize = 16 * KIB;
/// Bytes of index records that are sorted in memory at one time.
pub const TWIN_SORT_BYTES: usize = 96 * KIB;
/// Bytes of them that stay in memory while they are read: a few hundred, so that small runs need no disk for them.
pub const TWIN_SORTED_BYTES: usize = 32 * KIB;
/// Sorted lots of index records that are merged at one time: with lots of [`TWIN_SORT_BYTES`], half a million records.
pub const TWIN_LOTS_MAX: usize = 512;
/// Windows through which lots, or open slices of a series, are read, all together.
pub const TWIN_WINDOWS_BYTES: usize = 64 * KIB;
/// Slices of one series, 72 bytes each: a run that makes more of them is cut.
pub const TWIN_SLICES_MAX: usize = 2 * KIB;
/// Entries of a run of tablets: their records fit those lots if names are of usual length.
pub const TWIN_RUN_ENTRIES_MAX: u64 = 256 * KIB as u64;
/// Bytes of the payloads of a run: what one `TsFile` is made of, and a crash makes again.
pub const TWIN_RUN_BYTES_MAX: u64 = 64 * MIB as u64;
/// Origins, precisions and kinds of devices that the tablets of a run may have: each makes a file.
pub const TWIN_GROUPS_MAX: usize = 64;
/// Files of one group that devices in different orders need; names of usual form need three.
pub const TWIN_ORDERS_MAX: usize = 16;
/// Columns of an aligned device in one file, about 250 bytes each; wider ones go on in another file.
pub const TWIN_COLUMNS_MAX: usize = KIB;
/// Bytes of their names.
pub const TWIN_NAMES_BYTES_MAX: usize = 256 * KIB;
/// Files that the columns of one aligned device may need, of each of which the run is gone through: a run that makes more
/// of them is cut. One entry has columns for 16, names for 9 and types for 10 at most.
pub const TWIN_SLOTS_MAX: usize = 40;
/// Bytes of the texts of a page at most, unless it has one only; for aligned devices of the column that has most.
pub const TWIN_PAGE_BYTES: usize = 64 * KIB;
/// The same of a chunk of an aligned device, with the statistics of its pages.
pub const TWIN_GROUP_BYTES: usize = MIB;
/// Rows of an aligned device that are put together in one group of chunks.
pub const TWIN_ROWS_MAX: usize = 4 * KIB;
/// Bytes read or written in one step.
pub const TWIN_STEP_BYTES: usize = 512 * KIB;

/// Every loop turns at least this often, even when nothing happens.
pub const TURN_PERIOD_MAX: Duration = Duration::from_secs(3);
/// A loop that has not turned for longer is stuck: the watchdog is fed no more. With `WatchdogSec=30`
/// a stuck loop is killed within 45 seconds.
pub const TURN_AGE_MAX: Duration = Duration::from_secs(12);
/// A named operation that takes longer than this is shown as trouble.
pub const OPERATION_SHOWN_AFTER: Duration = Duration::from_secs(10);
/// A named operation that takes longer than this is a hang: the watchdog is fed no more.
pub const OPERATION_AGE_MAX: Duration = Duration::from_secs(600);

/// Pipes of one node: each has a connection, a cursor and a row of the status.
pub const PIPES_MAX: usize = 64;
/// Text of a pipe's statement, four times the longest known: all pipes together fit into one answer.
pub const DEFINITION_BYTES_MAX: usize = 8 * KIB;
/// Why a pipe was stopped, as it is kept beside that: a sentence with a path.
pub const PIPE_REASON_BYTES_MAX: usize = 512;
/// Files that are shown while they cross; further ones cross unshown.
pub const CROSSINGS_MAX: usize = 16;
/// Troubles at a time; above it the oldest acknowledged ones give way, further ones are counted.
pub const TROUBLES_MAX: usize = 64;
/// Longest text of a message, a trouble or a name on the status, in bytes; longer ones are cut.
pub const STATUS_TEXT_BYTES_MAX: usize = 512;
/// Connections to the status page, and as many to the control socket.
pub const STATUS_CONNECTIONS_MAX: usize = 8;
/// The least time that such a connection has before it makes way for another: who means it asks at once.
pub const STATUS_CONNECTION_LEAST: Duration = Duration::from_millis(100);
/// A request to status or control is over within this time.
pub const STATUS_DEADLINE: Duration = Duration::from_secs(10);
/// A connection that asks nothing for so long makes room for others.
pub const STATUS_HEAD_DEADLINE: Duration = Duration::from_secs(2);
/// Buffer of such a connection: what hyper takes at least.
pub const STATUS_BUFFER_BYTES: usize = 8 * KIB;
/// Body of a request: a statement or the name of a trouble.
pub const STATUS_BODY_BYTES_MAX: usize = 64 * KIB;
/// Text of one or more statements: what the control socket takes; the longest known is 2 KiB.
pub const STATEMENT_BYTES_MAX: usize = STATUS_BODY_BYTES_MAX;
/// Statements at one time: more than a node has pipes.
pub const STATEMENTS_MAX: usize = 128;
/// Attributes of one clause: several times as many as there are.
pub const ATTRIBUTES_MAX: usize = 256;
/// Forgotten commas and parentheses of one statement that are read as if they were there: the user guide has one each.
pub const MISPRINTS_MAX: usize = 8;
/// Patterns of one pipe: each costs a comparison for every device.
pub const PATTERNS_MAX: usize = 64;
/// Answer that the command line reads: full tables of the status, with room.
pub const STATUS_REPLY_BYTES_MAX: usize = MIB;
/// For connections to all targets together, where a person waits for what is found: a gate that is there takes one at once.
pub const TARGET_CHECK_MAX: Duration = Duration::from_secs(5);
/// Longest configuration file.
pub const CONFIG_BYTES_MAX: usize = MIB;
/// Longest secret in a file.
pub const SECRET_BYTES_MAX: usize = 4 * KIB;
/// Orders from the control socket that may wait for the node.
pub const CONTROL_COMMANDS_MAX: usize = 8;
/// How long an alarm command may run before it is killed.
pub const ALARM_DEADLINE: Duration = Duration::from_secs(30);

const _: () = assert!(PIPES_MAX * DEFINITION_BYTES_MAX <= STATUS_REPLY_BYTES_MAX / 2);
const _: () = assert!(TURN_PERIOD_MAX.as_millis() * 3 < TURN_AGE_MAX.as_millis());
const _: () = assert!(OPERATION_SHOWN_AFTER.as_millis() < OPERATION_AGE_MAX.as_millis());

const _: () = assert!(PIECE_BYTES_DEFAULT + NAME_BYTES_MAX < REQUEST_MEMORY_BYTES_MAX);
const _: () = assert!(ENTRY_BYTES_TARGET <= ENTRY_BYTES_MAX);
const _: () = assert!(ENTRY_BYTES_MAX < REQUEST_MEMORY_BYTES_MAX);
const _: () = assert!(HANDSHAKE_BYTES_MAX < REQUEST_MEMORY_BYTES_MAX);
const _: () = assert!(HANDSHAKE_BYTES_MAX <= SMALL_REQUEST_BYTES_MAX);
const _: () = assert!(ENTRY_BYTES_TARGET + 64 * KIB <= STAGE_BYTES);
const _: () = assert!(SMALL_REQUEST_BYTES_MAX + 64 * KIB <= STAGE_BYTES);
const _: () = assert!(
    (CONNECTIONS_MAX_DEFAULT + SESSION_CONNECTIONS_MAX) * FILES_PER_CONNECTION_MAX <= PARTIALS_MAX
);
const _: () = assert!(SESSION_REQUEST_BYTES_MAX <= REQUEST_MEMORY_BYTES_MAX);
const _: () = assert!(SESSION_REQUEST_BYTES_MAX <= SESSION_MEMORY_BYTES);
const _: () =
    assert!(CONNECTIONS_MAX_DEFAULT <= CONNECTIONS_MAX && CONNECTIONS_MAX <= PARTIALS_MAX);
const _: () = assert!(LINKS_MAX < UNCONFIRMED_MAX);
