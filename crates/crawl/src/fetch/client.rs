//! Asks: takes a kept connection or makes one, sends the request, and tries once more where a kept one turned out closed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::answer::Answer;
use super::connection::{Connection, Failure};
use super::cookies::Jar;
use super::dial::{Dialler, Route};
use super::download::{Beginning, Download};
use super::error::{ErrorKind, FetchError};
use super::head::{Defaults, message};
use super::options::ClientOptions;
use super::pool::Pool;
use super::proxy::Proxy;
use super::request::{Limits, Request, RequestBody};
use super::resolve::{Resolver, admits, private};
use super::tls::Tls;
use super::watch::{Expired, Pace, Watch};

/// Fetches; cheap to clone, and all clones share their connections.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: ClientOptions,
    pub(super) pool: Pool,
    defaults: Defaults,
    proxies: Vec<Arc<Proxy>>,
    dialler: Dialler,
}

impl Client {
    /// A client without connections.
    ///
    /// # Errors
    /// A proxy, a header or a pair of `resolve` is not what it should be. Certificates are read when the first one is needed.
    pub fn new(options: ClientOptions) -> Result<Self, FetchError> {
        let proxies = options.proxies.iter().map(|text| Proxy::new(text).map(Arc::new)).collect::<Result<_, _>>()?;
        let shared = Shared {
            defaults: Defaults::new(&options)?,
            proxies,
            dialler: Dialler { resolver: Resolver::new(&options.resolve)?, tls: Tls::default() },
            pool: Pool::new(options.idle_timeout, options.idle_count),
            options,
        };
        Ok(Self(Arc::new(shared)))
    }

    /// One hop, with the whole body; redirects are not followed.
    ///
    /// # Errors
    /// There is no answer, or not all of it: [`FetchError::received`] has what came then.
    pub async fn fetch(&self, request: Request) -> Result<Answer, FetchError> {
        self.open(request).await?.finish().await
    }

    /// One hop up to the end of the answer's head; the body comes when it is asked for.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn open(&self, mut request: Request) -> Result<Download, FetchError> {
        let started = Instant::now();
        let shared = &self.0;
        let limits = request.limits.unwrap_or(Limits {
            connect: Some(shared.options.connect_timeout),
            read: None,
            total: shared.options.request_timeout,
            body_bytes: shared.options.body_bytes,
        });
        let route = Route::new(&request, &shared.proxies)?;
        let body = std::mem::take(&mut request.body);
        let cookie = shared.options.jar.as_ref().and_then(|jar| jar.header(&request.url));
        let mut asking = Asking { shared, request: &request, route: &route, cookie, limits, started };
        let place = route.place();
        let beginning = asking.ask(body, &place).await.map_err(|error| error.about(&request.url))?;
        let download = Download::new(Arc::clone(shared), place, beginning, request, limits);
        if let Some(jar) = &shared.options.jar {
            jar.store(download.url(), &download.headers);
        }
        Ok(download)
    }

    /// Whether a URL's host leads to a private address now: as a literal, by the client's table, or by look-up.
    ///
    /// # Errors
    /// The name can't be looked up.
    pub async fn is_private(&self, url: &Url) -> Result<bool, FetchError> {
        let host = url.host_str().unwrap_or_default();
        let addresses = self.0.dialler.resolver.look_up(host, url.port_or_known_default().unwrap_or(80)).await?;
        Ok(addresses.iter().any(|address| crate::url::is_private(address.ip())))
    }

    /// The cookies.
    pub fn jar(&self) -> Option<&Arc<Jar>> {
        self.0.options.jar.as_ref()
    }
}

/// One request on its way.
struct Asking<'a> {
    shared: &'a Arc<Shared>,
    request: &'a Request,
    route: &'a Route,
    cookie: Option<String>,
    limits: Limits,
    started: Instant,
}

impl Asking<'_> {
    async fn ask(&mut self, mut body: RequestBody, place: &str) -> Result<Beginning, FetchError> {
        while let Some(connection) = self.shared.pool.take(place, self.started) {
            self.check_admission(&connection)?;
            let again = copy(&body);
            match self.try_connection(connection, body).await {
                Ok(beginning) => return Ok(beginning),
                Err(Failure::Unsent(given_back)) => body = given_back,
                Err(Failure::Lost(error)) => {
                    body = again.filter(|_| self.request.method.is_safe()).ok_or(error)?;
                    break;
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Expired(expired)) => return Err(too_late(expired, NO_HEAD)),
            }
        }
        let limit = self
            .limits
            .connect
            .into_iter()
            .chain(self.limits.total.map(|total| total.saturating_sub(self.started.elapsed())))
            .min();
        let options = &self.shared.options;
        let connection = self.shared.dialler.dial(self.route, self.request.admission, options, limit).await?;
        if let Connection::Two(shared) = &connection {
            self.shared.pool.share(place, shared);
        }
        match self.try_connection(connection, body).await {
            Ok(beginning) => Ok(beginning),
            Err(Failure::Unsent(_)) => {
                Err(FetchError::new(ErrorKind::Closed, "the connection was closed before the request was sent"))
            }
            Err(Failure::Lost(error) | Failure::Final(error)) => Err(error),
            Err(Failure::Expired(expired)) => Err(too_late(expired, NO_HEAD)),
        }
    }

    /// A connection that was made for a request with more freedom is none for this one.
    fn check_admission(&self, connection: &Connection) -> Result<(), FetchError> {
        let address = match connection {
            Connection::One(one) => one.address,
            Connection::Two(two) => two.address,
        };
        if self.route.proxy.is_some() || admits(self.request.admission, address.ip()) {
            return Ok(());
        }
        Err(private(&self.route.host, address.ip()))
    }

    async fn try_connection(&self, connection: Connection, body: RequestBody) -> Result<Beginning, Failure> {
        let header_bytes = self.shared.options.header_bytes;
        let build = |body, is_http2| {
            message(self.request, body, self.route, &self.shared.defaults, self.cookie.as_deref(), is_http2)
                .map_err(Failure::Final)
        };
        match connection {
            Connection::One(mut one) => {
                if !one.is_ready().await {
                    return Err(Failure::Unsent(body));
                }
                let mut watch = Watch::new(self.pace(), Instant::now(), one.bytes(), one.moved_bytes());
                let (reused, address) = (one.is_used, one.address);
                let response = one.send(build(body, false)?, &mut watch, header_bytes).await?;
                Ok(Beginning { response, carrier: Some(one), watch, started: self.started, address, reused })
            }
            Connection::Two(mut two) => {
                let mut watch = Watch::new(self.pace(), Instant::now(), 0, 0);
                let address = two.address;
                let response = two.send(build(body, true)?, &mut watch, header_bytes).await?;
                Ok(Beginning { response, carrier: None, watch, started: self.started, address, reused: true })
            }
        }
    }

    fn pace(&self) -> Pace {
        let options = &self.shared.options;
        Pace {
            started: self.started,
            total: self.limits.total,
            read: self.limits.read,
            window_bytes: options.minimum_speed.saturating_mul(options.speed_window.as_secs().max(1)),
            window: options.speed_window,
        }
    }
}

/// What is missing while a request waits for the answer.
const NO_HEAD: &str = "no whole head of an answer";

/// The error for a time that ran out; `what` is missing.
pub(super) fn too_late(expired: Expired, what: &str) -> FetchError {
    let seconds = |time: Duration| time.as_secs_f64();
    match expired {
        Expired::Total(time) => FetchError::new(ErrorKind::Timeout, format!("{what} within {} s", seconds(time))),
        Expired::Read(time) => {
            FetchError::new(ErrorKind::Timeout, format!("{what}: nothing came for {} s", seconds(time)))
        }
        Expired::Speed(bytes, time) => {
            FetchError::new(ErrorKind::TooSlow, format!("{what}: only {bytes} bytes came in {} s", seconds(time)))
        }
    }
}

/// A body that may be sent a second time.
fn copy(body: &RequestBody) -> Option<RequestBody> {
    match body {
        RequestBody::Empty => Some(RequestBody::Empty),
        RequestBody::Bytes(bytes) => Some(RequestBody::Bytes(bytes.clone())),
        RequestBody::Stream(_) => None,
    }
}
