//! Methods: what each is answered with.
//!
//! Every method of IoTDB's service has its own reply, also those that are refused: an exception of thrift's is to clients a
//! connection that has broken, which they make anew for half a minute.

use std::collections::BTreeMap;

use thrift::ApplicationErrorKind;
use thrift::protocol::TSerializable;
use tokio::io::{AsyncRead, AsyncWrite};

use super::conversation::{Conversation, locked};
use super::frames::Over;
use super::insert_sql::is_insert;
use super::statements::{Asked, NO_SCHEMA, Outcome};
use crate::limits::SESSION_ZONE_BYTES_MAX;
use crate::ops::clock;
use crate::wire::thrift::result::Form;
use crate::wire::thrift::status::Code;
use crate::wire::thrift::view::ListOf;
use crate::wire::thrift::{
    ARGUMENT, Head, Incoming, ServerProperties, TPipeSubscribeResp, TSConnectionInfoResp,
    TSExecuteStatementResp, TSFetchResultsResp, TSGetTimeZoneResp, TSOpenSessionReq,
    TSOpenSessionResp, TSSetTimeZoneReq, TSStatus, ThriftError, calls, write_exception,
    write_number,
};

/// The only protocol version that there is: V3.
const PROTOCOL_V3: i32 = 2;
/// Of all sessions: nobody asks which one it is.
const SESSION_ID: i64 = 1;

/// What a reply consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    /// `TSStatus` itself.
    Status,
    /// A struct whose first field is a status, and which needs no other: that of statements is one.
    Statement,
    /// `TSFetchResultsResp`.
    Fetch,
    /// `TSGetTimeZoneResp`, and any other of a status and a text.
    Text,
    /// `TSOpenSessionResp`, and any other of a status and a number.
    Number,
    /// `TPipeSubscribeResp`.
    Subscribe,
    /// `TSConnectionInfoResp`, which has no status.
    Connections,
}

/// What methods that are not for this node, or not before a login, are answered with.
fn reply_of(method: &str) -> Option<Reply> {
    Some(match method {
        "setTimeZone"
        | "closeSession"
        | "closeOperation"
        | "cancelOperation"
        | "executeBatchStatement"
        | "testConnectionEmptyRPC"
        | "setStorageGroup"
        | "createTimeseries"
        | "createAlignedTimeseries"
        | "createMultiTimeseries"
        | "deleteTimeseries"
        | "deleteStorageGroups"
        | "deleteData"
        | "createSchemaTemplate"
        | "appendSchemaTemplate"
        | "pruneSchemaTemplate"
        | "setSchemaTemplate"
        | "unsetSchemaTemplate"
        | "dropSchemaTemplate"
        | "createTimeseriesUsingSchemaTemplate"
        | "handshake"
        | "sendPipeData"
        | "sendFile"
        | "deallocatePreparedStatement" => Reply::Status,
        "executeRawDataQuery"
        | "executeRawDataQueryV2"
        | "executeLastDataQuery"
        | "executeLastDataQueryV2"
        | "executeAggregationQuery"
        | "executeAggregationQueryV2"
        | "executeFastLastDataQueryForOnePrefixPath"
        | "executeFastLastDataQueryForOneDeviceV2"
        | "executeGroupByQueryIntervalQuery"
        | "executePreparedStatement"
        | "fetchMetadata"
        | "getBackupConfiguration"
        | "prepareStatement" => Reply::Statement,
        "fetchResults" | "fetchResultsV2" => Reply::Fetch,
        "getTimeZone" | "showConfiguration" | "showConfigurationTemplate" => Reply::Text,
        "openSession" | "querySchemaTemplate" => Reply::Number,
        "pipeSubscribe" => Reply::Subscribe,
        "fetchAllConnectionsInfo" => Reply::Connections,
        _ if method.starts_with("execute") && form_of(method).is_some() => Reply::Statement,
        _ if INSERTS.contains(&method) || TESTS.contains(&method) => Reply::Status,
        _ => return None,
    })
}

/// Methods that write.
const INSERTS: [&str; 8] = [
    "insertTablet",
    "insertTablets",
    "insertRecord",
    "insertRecords",
    "insertRecordsOfOneDevice",
    "insertStringRecord",
    "insertStringRecords",
    "insertStringRecordsOfOneDevice",
];
/// Those that only test whether they would.
const TESTS: [&str; 8] = [
    "testInsertTablet",
    "testInsertTablets",
    "testInsertRecord",
    "testInsertRecords",
    "testInsertRecordsOfOneDevice",
    "testInsertStringRecord",
    "testInsertStringRecords",
    "testInsertStringRecordsOfOneDevice",
];

/// How a method that carries out a statement shows rows.
fn form_of(method: &str) -> Option<Form> {
    match method {
        "executeStatement" | "executeQueryStatement" | "executeUpdateStatement" => {
            Some(Form::DataSet)
        }
        "executeStatementV2" | "executeQueryStatementV2" | "executeUpdateStatementV2" => {
            Some(Form::Block)
        }
        _ => None,
    }
}

/// What a client may call before it has logged in.
const BEFORE_LOGIN: [&str; 4] =
    ["openSession", "requestStatementId", "getProperties", "testConnectionEmptyRPC"];

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    /// Carries a call out.
    pub(super) async fn dispatch(&mut self, call: Incoming<'_>) -> Result<(), Over> {
        let head = call.head.clone();
        let method = head.method.as_str();
        if self.user.is_none() && !BEFORE_LOGIN.contains(&method) {
            return self
                .refuse(&head, Code::NOT_LOGIN.status("Log in failed: there is no session"));
        }
        if let Some(form) = form_of(method) {
            return match call.view(ARGUMENT).and_then(calls::statement::<&str>) {
                Ok(text) => self.statement(&head, text, form).await,
                Err(error) => self.not_read(&head, &error.to_string()),
            };
        }
        match method {
            "openSession" => self.open_session(&head, call.argument(ARGUMENT)),
            "requestStatementId" => self.next_statement(&head),
            "getProperties" => self.properties(&head),
            "setTimeZone" => self.set_time_zone(&head, call.argument(ARGUMENT)),
            "getTimeZone" => {
                let zone = self.time_zone.clone();
                self.answer(&head, &TSGetTimeZoneResp::new(success(), zone))
            }
            "closeSession" => {
                self.user = None;
                self.answer(&head, &success())
            }
            // There is nothing to close.
            "closeOperation" | "testConnectionEmptyRPC" => self.answer(&head, &success()),
            "setStorageGroup"
            | "createTimeseries"
            | "createAlignedTimeseries"
            | "createMultiTimeseries" => {
                self.shared.note_schema(self.peer);
                self.answer(&head, &Code::SUCCESS.status(NO_SCHEMA))
            }
            "fetchResults" | "fetchResultsV2" => {
                // Every result goes out whole with the reply to its statement.
                self.answer(&head, &TSFetchResultsResp::new(success(), false, true, false))
            }
            "executeBatchStatement" => {
                match call.view(ARGUMENT).and_then(calls::statement::<ListOf<'_, &str>>) {
                    Ok(texts) => {
                        let status = self.batch(texts).await;
                        self.answer(&head, &status)
                    }
                    Err(error) => self.not_read(&head, &error.to_string()),
                }
            }
            _ if TESTS.contains(&method) => self.answer(&head, &success()),
            _ if INSERTS.contains(&method) => self.insert(&head, call.view(ARGUMENT)).await,
            _ => {
                let message =
                    format!("Penstock does not do {method}: it carries data, and keeps none");
                self.refuse(&head, Code::UNSUPPORTED_OPERATION.status(message))
            }
        }
    }

    /// A refusal, in the form of the method's reply.
    pub(super) fn refuse(&mut self, head: &Head, status: TSStatus) -> Result<(), Over> {
        match reply_of(&head.method) {
            Some(Reply::Status) => self.answer(head, &status),
            Some(Reply::Statement) => self.answer(head, &only(status)),
            Some(Reply::Fetch) => {
                self.answer(head, &TSFetchResultsResp::new(status, false, true, false))
            }
            Some(Reply::Text) => self.answer(head, &TSGetTimeZoneResp::new(status, String::new())),
            Some(Reply::Number) => {
                self.answer(head, &TSOpenSessionResp::new(status, PROTOCOL_V3, -1, None))
            }
            Some(Reply::Subscribe) => self.answer(head, &TPipeSubscribeResp::new(status, 1, 0)),
            Some(Reply::Connections) => self.answer(head, &TSConnectionInfoResp::new(Vec::new())),
            None => self.exception(head, ApplicationErrorKind::UnknownMethod, "no such method"),
        }
    }

    /// What a call that cannot be read is answered with.
    pub(super) fn not_read(&mut self, head: &Head, why: &str) -> Result<(), Over> {
        let message = format!("{} cannot be read: {why}", head.method);
        match reply_of(&head.method) {
            Some(_) => self.refuse(head, Code::ILLEGAL_PARAMETER.status(message)),
            None => self.exception(head, ApplicationErrorKind::ProtocolError, &message),
        }
    }

    fn exception(
        &mut self,
        head: &Head,
        kind: ApplicationErrorKind,
        message: &str,
    ) -> Result<(), Over> {
        write_exception(self.protocol, head, kind, message, &mut self.reply)
            .map_err(|_| Over::NoFrame("its reply is too large"))
    }

    fn read<T: TSerializable>(
        &mut self,
        head: &Head,
        argument: Result<T, ThriftError>,
    ) -> Result<Option<T>, Over> {
        match argument {
            Ok(argument) => Ok(Some(argument)),
            Err(error) => self.not_read(head, &error.to_string()).map(|()| None),
        }
    }
}

// The session itself.
impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    fn open_session(
        &mut self,
        head: &Head,
        argument: Result<TSOpenSessionReq, ThriftError>,
    ) -> Result<(), Over> {
        let Some(request) = self.read(head, argument)? else { return Ok(()) };
        if let Err(status) = self.log_in(&request) {
            return self.refuse(head, status);
        }
        log::info!("event=session_login peer={} user={:?}", self.peer, request.username);
        self.user = Some(request.username);
        self.keep_zone(request.zone_id);
        let precision = *self.precision.insert(self.node_precision());
        let precision = precision.text().to_owned();
        let configuration = BTreeMap::from([("timestamp_precision".to_owned(), precision)]);
        // Clients of 2.0 look into the message.
        let status = Code::SUCCESS.status("Login successfully");
        let opened = TSOpenSessionResp::new(status, PROTOCOL_V3, SESSION_ID, configuration);
        self.answer(head, &opened)
    }

    fn log_in(&self, request: &TSOpenSessionReq) -> Result<(), TSStatus> {
        let address = self.peer.ip();
        let mut attempts = self.shared.attempts.borrow_mut();
        if attempts.is_locked(address, clock::now()) {
            return Err(locked());
        }
        let password = request.password.as_deref();
        if !self.shared.login.admits(Some(&request.username), password) {
            attempts.failed(address, clock::now());
            log::warn!("event=session_login_failed peer={}", self.peer);
            return Err(Code::WRONG_LOGIN_PASSWORD.status("Authentication failed."));
        }
        attempts.succeeded(address);
        if request.client_protocol != PROTOCOL_V3 {
            return Err(Code::INCOMPATIBLE_VERSION.status("the client is older than IoTDB 1.0"));
        }
        let dialect = request.configuration.as_ref().and_then(|map| map.get("sql_dialect"));
        if dialect.is_some_and(|dialect| !dialect.eq_ignore_ascii_case("tree")) {
            let message = "this node takes the tree model only: sql_dialect=tree";
            return Err(Code::UNSUPPORTED_SQL_DIALECT.status(message));
        }
        Ok(())
    }

    fn next_statement(&mut self, head: &Head) -> Result<(), Over> {
        self.statements += 1;
        write_number(self.protocol, head, self.statements, &mut self.reply)
            .map_err(|_| Over::NoFrame("its reply is too large"))
    }

    fn properties(&mut self, head: &Head) -> Result<(), Over> {
        let version = concat!("Penstock ", env!("CARGO_PKG_VERSION")).to_owned();
        let precision = self.node_precision().text().to_owned();
        let functions = Vec::new();
        let properties =
            ServerProperties::new(version, functions, precision, None, None, None, None);
        self.answer(head, &properties)
    }

    fn set_time_zone(
        &mut self,
        head: &Head,
        argument: Result<TSSetTimeZoneReq, ThriftError>,
    ) -> Result<(), Over> {
        let Some(request) = self.read(head, argument)? else { return Ok(()) };
        self.keep_zone(request.time_zone);
        self.answer(head, &success())
    }

    /// Any text is taken, as by stock; one that names no zone is not kept.
    fn keep_zone(&mut self, name: String) {
        if name.len() <= SESSION_ZONE_BYTES_MAX {
            self.time_zone = name;
        }
    }
}

// Statements.
impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    /// Carries one out that writes nothing.
    pub(super) async fn carry_out(&self, text: &str) -> Outcome {
        let asked = Asked::of(text);
        if asked == Asked::Schema {
            self.shared.note_schema(self.peer);
        }
        asked.carry_out(&self.shared.commands).await
    }

    async fn statement(&mut self, head: &Head, text: &str, form: Form) -> Result<(), Over> {
        self.statements += 1;
        if is_insert(text) {
            let status = self.insert_statement(text).await;
            return self.answer(head, &only(status));
        }
        match self.carry_out(text).await {
            Outcome::Done(status) => self.answer(head, &only(status)),
            Outcome::Shown(rows) => self.answer(head, &rows.reply(self.statements, form)),
        }
    }
}

pub(super) fn success() -> TSStatus {
    Code::SUCCESS.status("Success")
}

pub(super) fn too_many(most: usize) -> TSStatus {
    let message = format!("at most {most} of them are taken in one request");
    Code::WRITE_PROCESS_REJECT.status(message)
}

/// A reply that is a status and nothing else.
fn only(status: TSStatus) -> TSExecuteStatementResp {
    TSExecuteStatementResp::new(status, None, None, None, None, None, None, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_service_has_its_reply() {
        for method in ["insertTablet", "testInsertTablet", "insertStringRecordsOfOneDevice"] {
            assert_eq!(reply_of(method), Some(Reply::Status), "{method}");
        }
        for method in ["executeStatement", "executeQueryStatementV2", "fetchMetadata"] {
            assert_eq!(reply_of(method), Some(Reply::Statement), "{method}");
        }
        for method in ["executeStatementV3", "insertIntoNothing", "testInsert", "insert", ""] {
            assert_eq!(reply_of(method), None, "{method}");
        }
    }
}
