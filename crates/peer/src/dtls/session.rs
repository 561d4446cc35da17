//! A DTLS session by OpenSSL, driven by datagrams.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
};

use bytes::Bytes;
use openssl::{
    error::ErrorStack,
    ssl::{ErrorCode, Ssl, SslContextRef, SslStream},
};

use super::{DtlsError, DtlsEvent, Engine, Established, MAX_QUEUED, MTU, certificate::fingerprint, sys};
use crate::srtp::SrtpProfile;

/// RFC 5764 §4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
/// The largest plaintext of a record (RFC 5246 §6.2.1).
const MAX_PLAINTEXT: usize = 16384;

/// `SSL_state_string` of a server that has read the client's ChangeCipherSpec.
const CHANGE_CIPHER_SPEC_READ: &str = "TRCCS";

/// A socket for OpenSSL: a read returns one whole datagram or would block, a write sends one.
#[derive(Debug, Default)]
struct Datagrams {
    incoming: Option<Vec<u8>>,
    outgoing: VecDeque<Bytes>,
}

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.take().ok_or(io::ErrorKind::WouldBlock)?;
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        Ok(length)
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.outgoing.len() < MAX_QUEUED {
            self.outgoing.push_back(Bytes::copy_from_slice(datagram));
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct OpensslSession {
    stream: SslStream<Datagrams>,
    established: bool,
    over: bool,
}

/// libssl reads the thread's error queue to determine the result of a call, so an error that other code left there would
/// end this session.
fn clear_errors() {
    drop(ErrorStack::get());
}

impl OpensslSession {
    pub(super) fn new(context: &SslContextRef) -> Result<Self, ErrorStack> {
        clear_errors();
        let mut ssl = Ssl::new(context)?;
        ssl.set_mtu(MTU)?;
        sys::disable_timer(&mut ssl);
        ssl.set_accept_state();
        Ok(Self { stream: SslStream::new(ssl, Datagrams::default())?, established: false, over: false })
    }

    fn pump(&mut self, events: &mut Vec<DtlsEvent>) -> Result<(), DtlsError> {
        if !self.established {
            clear_errors();
            match self.stream.do_handshake() {
                Ok(()) => {
                    self.established = true;
                    events.push(DtlsEvent::Established(Box::new(self.outcome()?)));
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(()),
                Err(error) => return Err(DtlsError(format!("handshake: {error}"))),
            }
        }
        let mut buffer = [0; MAX_PLAINTEXT];
        loop {
            clear_errors();
            match self.stream.ssl_read(&mut buffer) {
                Ok(length) => events.push(DtlsEvent::Data(buffer[..length].to_vec())),
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(()),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    self.over = true;
                    events.push(DtlsEvent::Closed);
                    return Ok(());
                }
                Err(error) => return Err(DtlsError(error.to_string())),
            }
        }
    }

    fn outcome(&self) -> Result<Established, DtlsError> {
        let ssl = self.stream.ssl();
        let failed = |what: &str| DtlsError(what.to_owned());
        // Without it the exported keys aren't bound to this handshake (RFC 7627 §1).
        if ssl.extms_support() != Some(true) {
            return Err(failed("the client doesn't support the extended master secret"));
        }
        let profile =
            ssl.selected_srtp_profile().and_then(|profile| SrtpProfile::from_id(profile.id().as_raw()));
        let srtp = match profile {
            Some(profile) => {
                let mut keying_material = vec![0; profile.keying_material_length()];
                ssl.export_keying_material(&mut keying_material, EXPORTER_LABEL, None)
                    .map_err(|error| DtlsError(error.to_string()))?;
                Some((profile, keying_material))
            }
            None => None,
        };
        let certificate = ssl.peer_certificate().ok_or_else(|| failed("the client sent no certificate"))?;
        Ok(Established {
            srtp,
            client_fingerprint: fingerprint(&certificate).map_err(|error| DtlsError(error.to_string()))?,
            cipher: ssl.current_cipher().map_or("", |cipher| cipher.name()),
        })
    }
}

impl Engine for OpensslSession {
    fn handle_datagram(&mut self, datagram: &[u8], events: &mut Vec<DtlsEvent>) -> Result<(), DtlsError> {
        if self.over {
            return Ok(());
        }
        self.stream.get_mut().incoming = Some(datagram.to_vec());
        let result = self.pump(events);
        self.stream.get_mut().incoming = None;
        self.over |= result.is_err();
        result
    }

    fn expects_finished(&self) -> bool {
        !self.established && self.stream.ssl().state_string() == CHANGE_CIPHER_SPEC_READ
    }

    fn poll_transmit(&mut self) -> Option<Bytes> {
        self.stream.get_mut().outgoing.pop_front()
    }

    fn send(&mut self, data: &[u8]) -> Result<(), DtlsError> {
        if self.over || !self.established {
            return Ok(());
        }
        clear_errors();
        self.stream.ssl_write(data).map(drop).map_err(|error| DtlsError(error.to_string()))
    }

    fn close(&mut self) {
        if self.established && !self.over {
            clear_errors();
            // The session ends whether or not close_notify can be sent.
            let _ = self.stream.shutdown();
        }
        self.over = true;
    }
}
