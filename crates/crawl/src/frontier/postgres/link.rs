//! The connection to the database: made when it is needed, and again, after a while, when it broke.

use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};

use super::schema;
use super::tls::Tls;
use crate::frontier::FrontierError;

/// Before the first and before any further attempt to connect again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A server that takes a connection and says nothing is away after this.
const GREETING_LIMIT: Duration = Duration::from_secs(30);
/// One that does not answer a statement is away after this: its connection is given up, and the statement sent again.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

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
        let place = place_of(&config);
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
        let greeted = timeout(GREETING_LIMIT, self.greet()).await;
        let client = greeted.map_err(|_| self.silent("a connection", GREETING_LIMIT))?;
        self.client = Some((client.map_err(|error| self.explain(&error))?, HashMap::new()));
        self.pause = Duration::ZERO;
        Ok(())
    }

    async fn greet(&self) -> Result<Client, tokio_postgres::Error> {
        let client = if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await?;
            tokio::spawn(connection);
            client
        } else {
            let (client, connection) = self.config.connect(tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            client
        };
        client.batch_execute(&format!("SET search_path TO \"{}\"", self.schema)).await?;
        Ok(client)
    }

    /// Runs a statement that is prepared once for each connection.
    pub(super) async fn query(&mut self, text: &'static str, values: Values<'_>) -> Result<Vec<Row>, FrontierError> {
        self.connect().await?;
        let ran = match &mut self.client {
            Some((client, prepared)) => timeout(ANSWER_LIMIT, run(client, prepared, text, values)).await,
            None => return Err(FrontierError::Away(format!("{} is not connected", self.place))),
        };
        self.judged(ran)
    }

    /// Runs statements without values.
    pub(super) async fn batch(&mut self, text: &str) -> Result<(), FrontierError> {
        self.connect().await?;
        let ran = match &self.client {
            Some((client, _)) => timeout(ANSWER_LIMIT, client.batch_execute(text)).await,
            None => return Err(FrontierError::Away(format!("{} is not connected", self.place))),
        };
        self.judged(ran)
    }

    /// What follows from an error or from silence: a connection whose state is not known is given up.
    fn judged<T>(&mut self, ran: Result<Result<T, tokio_postgres::Error>, Elapsed>) -> Result<T, FrontierError> {
        let failure = match ran {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => self.explain(&error),
            Err(_) => self.silent("a statement", ANSWER_LIMIT),
        };
        self.client = None;
        Err(failure)
    }

    fn silent(&self, to_what: &str, limit: Duration) -> FrontierError {
        FrontierError::Away(format!("{} has not answered to {to_what} for {} s", self.place, limit.as_secs()))
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

/// Where the database is, in words.
fn place_of(config: &Config) -> String {
    let ports = config.get_ports();
    let places: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(number, host)| {
            // One port may stand for all hosts.
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(folder) => format!("{}, port {port}", folder.display()),
            }
        })
        .collect();
    format!("the database at {}", places.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_every_host_with_its_port() {
        let place = |address: &str| place_of(&address.parse().unwrap());
        assert_eq!(place("postgres://me@db.example/x"), "the database at db.example:5432");
        assert_eq!(place("postgres://a:1,b:2/x"), "the database at a:1 or b:2");
        assert_eq!(place("host=/run/postgresql user=me"), "the database at /run/postgresql, port 5432");
    }
}
