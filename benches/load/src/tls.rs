//! A TLS connection that reads from its socket in large pieces: TLS must cost this side less than it costs the server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::channel::{closed, connect, now};

/// What is read from a socket at once.
const PIECE_BYTES: usize = 64 * 1024;

pub(crate) struct TlsChannel {
    stream: TcpStream,
    session: ClientConnection,
    /// Encrypted bytes that have come; those from `fed` to `filled` the session has not seen.
    piece: Vec<u8>,
    fed: usize,
    filled: usize,
}

/// Returns the settings of all connections: one certificate is trusted, the one of the file.
pub(crate) fn settings(certificate: &Path) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?;
    roots.add(trusted).map_err(io::Error::other)?;
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

impl TlsChannel {
    /// Connects, waits for the end of the handshake, and does not wait from then on.
    pub(crate) fn connect(port: u16, settings: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut session = ClientConnection::new(Arc::clone(settings), name).map_err(io::Error::other)?;
        // A message is taken whole, however long.
        session.set_buffer_limit(None);
        let mut stream = connect(port)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        stream.set_nonblocking(true)?;
        Ok(Self { stream, session, piece: vec![0; PIECE_BYTES], fed: 0, filled: 0 })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.session.writer().write(bytes)?;
        self.flush()?;
        Ok(taken)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() && now(self.session.write_tls(&mut self.stream))? > 0 {}
        Ok(())
    }

    pub(crate) fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut received = 0;
        let mut is_drained = false;
        loop {
            received += self.decrypted(&mut into[received..])?;
            if received == into.len() {
                return Ok(received);
            }
            if self.fed < self.filled {
                let mut rest = &self.piece[self.fed..self.filled];
                self.fed += self.session.read_tls(&mut rest)?;
                self.session.process_new_packets().map_err(io::Error::other)?;
            } else if is_drained {
                return Ok(received);
            } else {
                let read = self.stream.read(&mut self.piece);
                if matches!(read, Ok(0)) {
                    return Err(closed());
                }
                (self.fed, self.filled) = (0, now(read)?);
                is_drained = self.filled < self.piece.len();
            }
        }
    }

    /// Returns how many bytes the session had ready.
    fn decrypted(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.session.reader().read(into) {
            Ok(0) if !into.is_empty() => Err(closed()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(closed()),
            done => now(done),
        }
    }
}

impl AsFd for TlsChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
