//! `HttpClient`: one way to trust servers and to show oneself, with the connections made that way.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use threefold_crawl::fetch::{Admission, Client, ClientOptions, Limits, Proxy, ProxyChoice, Request, RequestBody};
use url::Url;

use super::exchange::PyExchange;
use super::upload::PyUpload;
use super::{outcome, runtime};

/// Makes requests; its connections are shared by all threads and tasks of the process.
#[pyclass(frozen, module = "threefold._threefold", name = "HttpClient")]
pub(crate) struct PyClient {
    options: ClientOptions,
    /// With the process whose connections it has.
    client: Mutex<Option<(u32, Client)>>,
}

/// What is sent as the body.
#[derive(FromPyObject)]
enum Body<'py> {
    Bytes(Bound<'py, pyo3::types::PyBytes>),
    Upload(Bound<'py, PyUpload>),
}

/// (connect, read, total) in seconds, each of them perhaps without limit.
type Times = (Option<f64>, Option<f64>, Option<f64>);

impl PyClient {
    fn client(&self, py: Python<'_>) -> PyResult<Client> {
        let process = std::process::id();
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((owner, client)) = kept.as_ref() {
            if *owner == process {
                return Ok(client.clone());
            }
        }
        let made = Client::new(self.options.clone());
        let client = match made {
            Ok(client) => client,
            Err(error) => {
                drop(kept);
                return Err(outcome::to_python(py, &error));
            }
        };
        if let Some(inherited) = kept.replace((process, client.clone())) {
            // Closing these connections would take them out of the poll set that the parent polls.
            std::mem::forget(inherited);
        }
        Ok(client)
    }
}

#[pymethods]
impl PyClient {
    /// A client without connections.
    ///
    /// Args:
    ///     verify: whether the servers' certificates are checked.
    ///     authorities: a file or folder of certificates to trust instead of the machine's.
    ///     certificate: the client's certificate and key, as files.
    ///     resolve: `name:address` pairs that replace the look-up of a name.
    ///     http2: whether HTTP/2 is offered to https servers.
    #[new]
    #[pyo3(signature = (verify=true, authorities=None, certificate=None, resolve=vec![], http2=true))]
    fn new(
        verify: bool,
        authorities: Option<PathBuf>,
        certificate: Option<(PathBuf, PathBuf)>,
        resolve: Vec<String>,
        http2: bool,
    ) -> Self {
        let options = ClientOptions {
            user_agent: String::new(),
            headers: Vec::new(),
            verify_tls: verify,
            certificate_authorities: authorities,
            client_certificate: certificate,
            http2,
            resolve,
            // A program that fetches what it names has no strangers' pages to be guarded from.
            minimum_speed: 0,
            expansion: None,
            ..ClientOptions::default()
        };
        Self { options, client: Mutex::new(None) }
    }

    /// Begins an exchange and does not wait for it.
    ///
    /// Args:
    ///     method: the method.
    ///     url: the whole address.
    ///     target: path and query as they are sent, where they differ from the address's.
    ///     headers: names and values, in order.
    ///     body: bytes, an `HttpUpload`, or None.
    ///     proxy: the address of a proxy, or None.
    ///     times: seconds for connecting, between two arrivals of bytes, and for all of it; None for any.
    ///     decode: whether the body is decompressed.
    ///     whole: whether the body is read at once.
    #[allow(clippy::too_many_arguments, reason = "a request has so many parts, and they come from one place")]
    #[pyo3(signature = (method, url, target, headers, body, proxy, times, decode, whole))]
    fn send(
        &self,
        py: Python<'_>,
        method: &str,
        url: &str,
        target: Option<String>,
        headers: Vec<(String, Vec<u8>)>,
        body: Option<Body<'_>>,
        proxy: Option<&str>,
        times: Times,
        decode: bool,
        whole: bool,
    ) -> PyResult<PyExchange> {
        let url = Url::parse(url).map_err(|error| PyValueError::new_err(format!("{url:?} is no address: {error}")))?;
        let failed = |error| outcome::to_python(py, &error);
        let mut request = Request::new(method, url).map_err(failed)?;
        request.target = target;
        request.headers = headers.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
        request.admission = Admission::All;
        request.decode = decode;
        request.proxy = match proxy {
            None => ProxyChoice::Direct,
            Some(proxy) => ProxyChoice::Through(Arc::new(Proxy::new(proxy).map_err(failed)?)),
        };
        request.body = match body {
            None => RequestBody::Empty,
            Some(Body::Bytes(bytes)) => bytes.as_bytes().to_vec().into(),
            Some(Body::Upload(upload)) => upload.get().body(),
        };
        let (connect, read, total) = times;
        request.limits = Some(Limits {
            connect: seconds(connect)?,
            read: seconds(read)?,
            total: seconds(total)?,
            body_bytes: u64::MAX,
        });
        Ok(PyExchange::begin(runtime::handle()?, self.client(py)?, request, whole))
    }
}

fn seconds(time: Option<f64>) -> PyResult<Option<Duration>> {
    let convert = |time: f64| {
        Duration::try_from_secs_f64(time)
            .map_err(|_| PyValueError::new_err(format!("a timeout must be a number of seconds above 0, not {time}")))
    };
    time.map(convert).transpose()
}
