//! The connection to the database: made when it is needed, and again, after a while, when it broke.

use std::time::Duration;

use hashbrown::HashMap;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};

use super::schema;
use super::tls::Tls;
use crate::frontier::FrontierError;

/// Before the first and before any further attempt to connect again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection, and how to make another one.
pub(super) struct Link {
    config: Config,
    tls: Option<Tls>,
    schema: String,
    client: Option<(Client, HashMap<&'static str, Statement>)>,
    pause: Duration,
    /// Where the database is, for sentences.
    place: String,
}

impl Link {
    pub(super) fn new(mut config: Config, schema: &str, name: &str) -> Result<Self, FrontierError> {
        config.application_name(name);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        config.tcp_user_timeout(Duration::from_secs(30)).keepalives_idle(Duration::from_secs(10));
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(Tls::new().map_err(|error| FrontierError::Unusable(format!("TLS can't be set up: {error}")))?),
        };
        let hosts: Vec<String> = config.get_hosts().iter().map(|host| format!("{host:?}")).collect();
        let place = format!("the database at {}", hosts.join(", "));
        Ok(Self { config, tls, schema: schema.to_owned(), client: None, pause: Duration::ZERO, place })
    }

    /// True where the next statement needs a new connection.
    pub(super) fn is_down(&self) -> bool {
        self.client.as_ref().is_none_or(|(client, _)| client.is_closed())
    }

    /// Gives the connection up.
    pub(super) fn drop_connection(&mut self) {
        self.client = None;
    }

    /// Connects, after a pause where the last attempt failed.
    pub(super) async fn connect(&mut self) -> Result<(), FrontierError> {
        if !self.is_down() {
            return Ok(());
        }
        self.client = None;
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let client = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()).await.map(|(client, connection)| {
                tokio::spawn(connection);
                client
            }),
            None => self.config.connect(tokio_postgres::NoTls).await.map(|(client, connection)| {
                tokio::spawn(connection);
                client
            }),
        };
        let client = client.map_err(|error| self.explain(&error))?;
        let path = format!("SET search_path TO \"{}\"", self.schema);
        client.batch_execute(&path).await.map_err(|error| self.explain(&error))?;
        self.client = Some((client, HashMap::new()));
        self.pause = Duration::ZERO;
        Ok(())
    }

    /// Runs a statement that is prepared once for each connection.
    pub(super) async fn query(&mut self, text: &'static str, values: Values<'_>) -> Result<Vec<Row>, FrontierError> {
        self.connect().await?;
        let ran = match &mut self.client {
            Some((client, prepared)) => run(client, prepared, text, values).await,
            None => return Err(FrontierError::Away(format!("{} is not connected", self.place))),
        };
        ran.map_err(|error| self.fail(&error))
    }

    /// Runs statements without values.
    pub(super) async fn batch(&mut self, text: &str) -> Result<(), FrontierError> {
        self.connect().await?;
        let ran = match &self.client {
            Some((client, _)) => client.batch_execute(text).await,
            None => return Err(FrontierError::Away(format!("{} is not connected", self.place))),
        };
        ran.map_err(|error| self.fail(&error))
    }

    /// What follows from an error: a connection whose state is not known is given up.
    fn fail(&mut self, error: &tokio_postgres::Error) -> FrontierError {
        self.client = None;
        self.explain(error)
    }

    fn explain(&self, error: &tokio_postgres::Error) -> FrontierError {
        let sentence = match error.as_db_error() {
            Some(refused) => format!("{} refused: {}", self.place, refused.message()),
            None => match std::error::Error::source(error) {
                Some(source) => format!("{} can't be reached: {error}: {source}", self.place),
                None => format!("{} can't be reached: {error}", self.place),
            },
        };
        if is_passing(error) { FrontierError::Away(sentence) } else { FrontierError::Store(sentence) }
    }

    /// Ends what the server still holds of a former connection.
    pub(super) async fn end_others(&mut self, name: &str) -> Result<(), FrontierError> {
        self.query(schema::END_OTHERS, &[&name]).await.map(drop)
    }
}

async fn run(
    client: &Client,
    prepared: &mut HashMap<&'static str, Statement>,
    text: &'static str,
    values: Values<'_>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    if !prepared.contains_key(text) {
        prepared.insert(text, client.prepare(text).await?);
    }
    client.query(&prepared[text], values).await
}

/// True where the same may succeed later: a broken connection, a server that starts or stops, a deadlock.
fn is_passing(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        let is_of_socket = std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
        return error.is_closed() || is_of_socket;
    };
    let passing = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    passing.contains(code) || code.code().starts_with("08")
}
