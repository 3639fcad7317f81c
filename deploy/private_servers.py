"""A Mosquitto and a MariaDB of our own, for tests and the demonstration: loopback only, in a scratch folder.

A system-wide service is never touched. Both run as whoever starts them, root or not.
"""

import base64
import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.database_server import Database, DatabaseServer
from deploy.environment import PROJECT
from deploy.mqtt_answer import answers_connect, broker_version
from deploy.own_process import LOOPBACK, OwnProcess, ServerFailed, find_program

TEMPLATES = PROJECT / "build"
INSTALL_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class MosquittoSettings:
    """How a private Mosquitto differs from the usual one."""

    persistence: bool = False
    """Keep sessions and retained messages over a restart."""
    anonymous: bool = True
    """Let in clients without a password."""
    max_packet_size: int | None = None
    """Largest packet in bytes that the broker accepts."""
    extra_lines: tuple[str, ...] = ()
    """More lines for the configuration file, for example `password_file ...`."""


class PrivateMosquitto(OwnProcess):
    """An MQTT broker on the loopback interface.

    `folders` replaces the places where the program is looked for.
    """

    name = "Mosquitto"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        settings: MosquittoSettings | None = None,
        folders: Sequence[str] | None = None,
    ) -> None:
        super().__init__(folder, port)
        self.settings = settings or MosquittoSettings()
        self._folders = folders

    @property
    def configuration(self) -> Path:
        """The configuration file; it is written again at every start."""
        return self.folder / "mosquitto.conf"

    def prepare(self) -> None:
        """Write the configuration file."""
        self.configuration.write_text("\n".join(self._lines()) + "\n", encoding="utf-8")

    def command(self) -> list[str]:
        """Run in the foreground with our configuration."""
        return [find_program("mosquitto", "mosquitto", self._folders), "-c", str(self.configuration)]

    def answers(self) -> bool:
        """Tell whether CONNECT is answered."""
        return answers_connect(self.host, self.port)

    def version(self) -> str:
        """Return for example `Mosquitto 2.0.11`."""
        return broker_version(self.host, self.port)

    def _lines(self) -> list[str]:
        lines = ["per_listener_settings false"]
        if os.geteuid() == 0:
            # Otherwise it gives up root's rights and cannot write its own folder.
            lines.append("user root")
        lines += [
            f"listener {self.port} {LOOPBACK}",
            f"allow_anonymous {str(self.settings.anonymous).lower()}",
            "set_tcp_nodelay true",
            # The default of 1000 drops further messages silently, with a PUBACK that says success.
            "max_queued_messages 0",
            "log_dest stderr",
            f"persistence {str(self.settings.persistence).lower()}",
        ]
        if self.settings.persistence:
            lines += [f"persistence_location {self.folder}/", "autosave_interval 1", "autosave_on_changes true"]
        if self.settings.max_packet_size is not None:
            lines.append(f"max_packet_size {self.settings.max_packet_size}")
        return lines + list(self.settings.extra_lines)


def password_file_line(user: str, password: str) -> str:
    """Return the line of a Mosquitto `password_file` that lets `user` in."""
    iterations = 101  # Mosquitto's own default
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"{user}:$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


class PrivateMariaDb(OwnProcess):
    """A database server on the loopback interface with an account for the program.

    That account may do everything in databases whose names begin with `rollcall`; `database` is there from the start.
    `options` are more command line options, `folders` replaces the places where the programs are looked for.
    """

    name = "MariaDB"
    user = "rollcall"
    database = "rollcall"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        options: Sequence[str] = (),
        folders: Sequence[str] | None = None,
        templates: Path = TEMPLATES,
    ) -> None:
        super().__init__(folder, port)
        self._options = list(options)
        self._folders = folders
        self._templates = templates

    @property
    def password(self) -> str:
        """The program's password, made at the first start and kept in the folder."""
        return self._secret("password")

    @property
    def server(self) -> DatabaseServer:
        """The server as the program sees it."""
        return DatabaseServer(self.host, self.port, self.user, self.password)

    @property
    def administrator(self) -> DatabaseServer:
        """The server as its administrator sees it, for tests that change global settings."""
        return DatabaseServer(self.host, self.port, "root", self._secret("root-password"))

    def url(self, database: str | None = None) -> str:
        """Return the address of `database` (by default the one that is always there) in SQLAlchemy's form."""
        return self.server.database(database or self.database).url

    def create_database(self, name: str | None = None) -> Database:
        """Create an empty database; without a name, one that nobody else has."""
        return self.server.create_database(name)

    def version(self) -> str:
        """Return for example `MariaDB 10.11.19`."""
        return self.server.version()

    def prepare(self) -> None:
        """Copy the data folder at the first start; write the accounts, which the server reads at every start."""
        data = self.folder / "data"
        if not data.exists():
            copy = self.folder / "data.part"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(make_template(self._templates, self._folders), copy)
            copy.rename(data)
        (self.folder / "tmp").mkdir(exist_ok=True)
        self._accounts.write_text(self._account_statements(), encoding="utf-8")
        self._accounts.chmod(0o600)

    def command(self) -> list[str]:
        """Run in the foreground on our data folder."""
        return [
            find_program("mariadbd", "mariadb-server-core", self._folders),
            "--no-defaults",
            f"--user={_account()}",
            f"--datadir={self.folder / 'data'}",
            # Of its own: a server that starts deletes what looks like temporary tables there, also another server's.
            f"--tmpdir={self.folder / 'tmp'}",
            # Relative to the data folder: the whole path of a socket may have 107 characters only.
            "--socket=s",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            f"--bind-address={LOOPBACK}",
            "--skip-name-resolve",
            # The compiled default is latin1.
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",
            "--innodb-buffer-pool-size=64M",
            f"--init-file={self._accounts}",
            *self._options,
        ]

    def answers(self) -> bool:
        """Tell whether a query is answered in the program's name."""
        try:
            return self.server.execute("SELECT 1", self.server.database(self.database)) == [(1,)]
        except ServerFailed:
            return False

    @property
    def _accounts(self) -> Path:
        return self.folder / "accounts.sql"

    def _account_statements(self) -> str:
        ours = f"'{self.user}'@'{LOOPBACK}'"
        root = f"'root'@'{LOOPBACK}'"
        # One statement a line: that is how the server reads the file.
        return "\n".join(
            [
                f"CREATE DATABASE IF NOT EXISTS `{self.database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;",
                f"CREATE OR REPLACE USER {ours} IDENTIFIED BY '{self.password}';",
                f"GRANT ALL PRIVILEGES ON `{self.database}%`.* TO {ours};",
                f"CREATE OR REPLACE USER {root} IDENTIFIED BY '{self._secret('root-password')}';",
                f"GRANT ALL PRIVILEGES ON *.* TO {root} WITH GRANT OPTION;",
                # The template's accounts have no password; nobody else on this machine may use them.
                "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> '127.0.0.1';",
                "FLUSH PRIVILEGES;",
                "",
            ]
        )

    def _secret(self, name: str) -> str:
        path = self.folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(16), encoding="ascii")
        return path.read_text(encoding="ascii")


def _account() -> str:
    """Return the name of whoever runs this; the environment's idea of it is wrong under `su`."""
    return pwd.getpwuid(os.geteuid()).pw_name


def make_template(templates: Path, folders: Sequence[str] | None = None) -> Path:
    """Return a data folder to copy from, made once for each version of the server.

    Two processes may do this at once: both make one, the first to finish wins, the other's is thrown away.
    """
    server = find_program("mariadbd", "mariadb-server-core", folders)
    version = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    template = templates / f"mariadb-template-{version}"
    if template.exists():
        return template
    templates.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".mariadb-template-", dir=templates))
    try:
        (making / "tmp").mkdir()
        _install(making / "data", making / "tmp", folders)
        try:
            (making / "data").rename(template)
        except OSError:
            if not template.exists():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return template


def _install(data: Path, temporary: Path, folders: Sequence[str] | None) -> None:
    """Fill `data` with the system tables of a new server; `temporary` is a folder that no other server uses."""
    # It is a script that calls this one, which comes with another package.
    find_program("my_print_defaults", "mariadb-client-core", folders)
    done = subprocess.run(
        [
            "env",
            f"TMPDIR={temporary}",
            find_program("mariadb-install-db", "mariadb-server-core", folders),
            "--no-defaults",
            f"--user={_account()}",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-log-file-size=8M",
        ],
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise ServerFailed(f"MariaDB's tables could not be made (exit {done.returncode}):\n{done.stdout}{done.stderr}")
