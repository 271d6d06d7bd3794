//! TLS: whom to trust, what to show, which versions of HTTP to offer.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::error::{ErrorKind, FetchError};
use super::options::ClientOptions;
use super::wire::Wire;

/// The two configurations of a client, made when the first https address is asked.
#[derive(Debug, Default)]
pub(super) struct Tls(OnceLock<Result<Configurations, FetchError>>);

#[derive(Debug)]
struct Configurations {
    /// For the servers.
    server: Arc<ClientConfig>,
    /// For proxies that are spoken to with TLS: HTTP/1.1 only.
    proxy: Arc<ClientConfig>,
}

impl Tls {
    /// Does the handshake over `wire`; true where HTTP/2 was agreed on.
    pub(super) async fn shake_hands(
        &self,
        options: &ClientOptions,
        wire: Wire,
        host: &str,
        is_proxy: bool,
    ) -> Result<(Wire, bool), FetchError> {
        let made = self.0.get_or_init(|| Configurations::new(options)).as_ref().map_err(Clone::clone)?;
        let configuration = if is_proxy { &made.proxy } else { &made.server };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| FetchError::new(ErrorKind::Tls, format!("{host:?} can't be the name of a TLS server")))?;
        let stream = TlsConnector::from(Arc::clone(configuration))
            .connect(name, wire)
            .await
            .map_err(|error| FetchError::new(ErrorKind::Tls, format!("TLS handshake with {host} failed: {error}")))?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Wire::Tls(Box::new(stream)), is_http2))
    }
}

impl Configurations {
    fn new(options: &ClientOptions) -> Result<Self, FetchError> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError::new(ErrorKind::Tls, format!("TLS can't be set up: {error}")))?;
        let builder = if options.verify_tls {
            builder.with_root_certificates(roots(options.certificate_authorities.as_deref())?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAll(algorithms)))
        };
        let mut proxy = match &options.client_certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let certificates = read_certificates(chain)?;
                let key_der = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unreadable("the client's key", key, &error.to_string()))?;
                builder
                    .with_client_auth_cert(certificates, key_der)
                    .map_err(|error| unreadable("the client's certificate", chain, &error.to_string()))?
            }
        };
        proxy.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut server = proxy.clone();
        if options.http2 {
            server.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(Self { server: Arc::new(server), proxy: Arc::new(proxy) })
    }
}

fn roots(authorities: Option<&Path>) -> Result<Arc<RootCertStore>, FetchError> {
    /// Reading them takes milliseconds, and they are the same for all clients.
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let Some(path) = authorities else {
        let system = SYSTEM.get_or_init(|| {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(store)
        });
        if system.is_empty() {
            return Err(FetchError::new(
                ErrorKind::Tls,
                "this machine has no certificates to trust; name a file of them",
            ));
        }
        return Ok(Arc::clone(system));
    };
    let mut store = RootCertStore::empty();
    if path.is_dir() {
        let files = std::fs::read_dir(path).map_err(|error| unreadable("certificates", path, &error.to_string()))?;
        for file in files.flatten().map(|file| file.path()).filter(|file| file.is_file()) {
            store.add_parsable_certificates(read_certificates(&file).unwrap_or_default());
        }
    } else {
        store.add_parsable_certificates(read_certificates(path)?);
    }
    if store.is_empty() {
        return Err(unreadable("certificates", path, "there is none in it"));
    }
    Ok(Arc::new(store))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable("certificates", path, &error.to_string()))
}

fn unreadable(what: &str, path: &Path, why: &str) -> FetchError {
    FetchError::new(ErrorKind::Request, format!("{what} can't be read from {}: {why}", path.display()))
}

/// For `verify_tls: false`: whoever answers is taken for the server; what is signed is still checked.
#[derive(Debug)]
struct AcceptAll(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
