//! A client of the session service, which asks one thing after the other.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use penstock::wire::thrift::transfer::{METHOD, TAIL, TransferHead};
use penstock::wire::thrift::*;
use thrift::protocol::TSerializable;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) protocol: Protocol,
    pub(crate) sequence: i32,
}

impl Client {
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.stream.write_all(frame).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut message = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut message).unwrap();
        message
    }

    pub(crate) fn ask<A: TSerializable, R: TSerializable>(
        &mut self,
        method: &str,
        argument: &A,
    ) -> R {
        self.ask_at(method, ARGUMENT, argument)
    }

    pub(crate) fn ask_at<A: TSerializable, R: TSerializable>(
        &mut self,
        method: &str,
        id: i16,
        argument: &A,
    ) -> R {
        self.sequence += 1;
        let mut frame = Vec::new();
        write_call(self.protocol, method, self.sequence, (id, argument), &mut frame).unwrap();
        self.send(&frame);
        let reply = self.receive();
        let incoming = Incoming::read(self.protocol, &reply).unwrap();
        incoming.result(method, self.sequence).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    pub(crate) fn open(&mut self, user: &str, password: &str) -> TSOpenSessionResp {
        let request = TSOpenSessionReq::new(
            2,
            "Etc/UTC".to_owned(),
            user.to_owned(),
            password.to_owned(),
            BTreeMap::from([("version".to_owned(), "V_1_0".to_owned())]),
        );
        self.ask("openSession", &request)
    }

    pub(crate) fn statement(&mut self, method: &str, text: &str) -> TSExecuteStatementResp {
        let request = TSExecuteStatementReq::new(1, text.to_owned(), 1, None, None);
        self.ask(method, &request)
    }

    /// A request of a pipe, payload as over a gate.
    pub(crate) fn transfer(&mut self, payload: &[u8]) -> TPipeTransferResp {
        self.sequence += 1;
        let head = TransferHead {
            sequence: self.sequence,
            version: payload[0].cast_signed(),
            request_type: i16::from_be_bytes([payload[1], payload[2]]),
            body_bytes: u32::try_from(payload.len() - 3).unwrap(),
        };
        let mut frame = Vec::new();
        head.write(self.protocol, &mut frame).unwrap();
        frame.extend_from_slice(&payload[3..]);
        frame.extend_from_slice(&TAIL);
        self.send(&frame);
        let reply = self.receive();
        Incoming::read(self.protocol, &reply).unwrap().result(METHOD, self.sequence).unwrap()
    }
}
