//! A PostgreSQL of the tests' own, on a Unix socket in a folder of its own; it ends with the process of the tests.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;

use crate::support::within;

/// The server; none where PostgreSQL is not installed, which is said once.
pub(crate) fn postgres() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

/// A running PostgreSQL.
pub(crate) struct Server {
    folder: PathBuf,
    /// Its standard input ends with this process, and the server then.
    _shell: Child,
}

impl Server {
    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("CI").is_none(), "PostgreSQL is not installed: apt-get install postgresql");
            #[allow(clippy::print_stderr, reason = "a skipped test says why")]
            {
                eprintln!("PostgreSQL is not installed (apt-get install postgresql): its tests are skipped");
            }
            return None;
        };
        let folder = std::env::temp_dir().join(format!("threefold-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let owner = owner();
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let as_owner = |program: &Path| {
            let mut command = Command::new(program);
            command.current_dir(&folder);
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
        };
        let cluster = folder.join("cluster");
        let quick =
            ["--no-sync", "--no-instructions", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"];
        let made = as_owner(&programs.join("initdb")).arg("-D").arg(&cluster).args(quick).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let script = "\"$1\" -D cluster -c listen_addresses= -c unix_socket_directories=\"$2\" -c fsync=off \
                      -c max_connections=200 > log 2>&1 &\nread end\nkill -INT $!\nwait\ncd /\nrm -rf \"$2\"\n";
        let shell = as_owner(Path::new("/bin/sh"))
            .args(["-c", script, "sh"])
            .arg(programs.join("postgres"))
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { folder, _shell: shell };
        let is_ready = || {
            let mut asked = Command::new(programs.join("pg_isready"));
            asked.arg("-q").arg("-h").arg(&server.folder).status().unwrap().success()
        };
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !is_ready() {
            assert!(std::time::Instant::now() < end, "PostgreSQL was not ready within 60 s");
            let log = std::fs::read_to_string(server.folder.join("log")).unwrap_or_default();
            assert!(!log.contains("FATAL:  could not"), "{log}");
            std::thread::yield_now();
        }
        Some(server)
    }

    /// The address of a crawl in it.
    pub(crate) fn address(&self, name: &str) -> String {
        let folder = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{folder}/postgres?sslmode=disable&crawl={name}")
    }

    /// The address of a crawl in a database of its own.
    pub(crate) async fn address_apart(&self, name: &str) -> String {
        self.run(&format!("CREATE DATABASE {name}")).await;
        self.address(name).replace("/postgres?", &format!("/{name}?"))
    }

    /// The socket that it listens at.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Runs a statement in the database that most tests share.
    pub(crate) async fn run(&self, statement: &str) {
        Self::run_at(&self.address("any"), statement).await;
    }

    /// Runs a statement in the database of an address.
    pub(crate) async fn run_at(address: &str, statement: &str) {
        let (config, _) = address.split_once("&crawl=").unwrap();
        let run = async {
            let (client, connection) = tokio_postgres::connect(config, tokio_postgres::NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            client.batch_execute(statement).await.unwrap();
            connection.abort();
        };
        within(statement, run).await;
    }
}

/// The folder with the newest `initdb`.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.reverse();
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// Whom the server runs as where the tests run as root, which it refuses: user and group.
fn owner() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
        Some((fields.next()?, fields.next()?))
    };
    ids("postgres").or_else(|| ids("nobody"))
}
