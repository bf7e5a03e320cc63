"""Runs the collector under uvicorn, in one process or in several that share a port.

Reads shops.toml and the environment, listens on a port, and prints the URL in its first line.
"""

import errno
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import LOGGING_CONFIG
from uvicorn.supervisors import Multiprocess

from ingestion.collector.metrics import MULTIPROCESS_VARIABLE
from ingestion.collector.protocol import GuardedProtocol
from ingestion.collector.webhooks import unfinished_webhooks
from ingestion.errors import IngestionError
from ingestion.landing import OpenLandingFile, keep_files_private, recover, remove_abandoned
from ingestion.shops import load_shops

SECRETS_VARIABLE = "PIXELNOVA_SHOPIFY_SECRETS"
CLIENT_SECRET_VARIABLE = "PIXELNOVA_SHOPIFY_CLIENT_SECRET_"  # plus the store, as in the loader
MAX_CONNECTIONS_WAITING = 1024
WORKER_SECONDS = 30.0
GRACE_SECONDS = 10  # for clients that stop reading


class CannotListen(IngestionError):
    """The address or the landing folder cannot be used; the message names the remedy."""


class CollectorApp:
    """Creates a worker's application from the command's options; small enough to send to another process."""

    def __init__(self, shops_file: Path, data: Path, requests_per_second: float) -> None:
        """shops_file: shops.toml. data: the data folder. requests_per_second: per key and address; 0 is unlimited."""
        self._shops_file = shops_file
        self._data = data
        self._requests_per_second = requests_per_second

    def __call__(self) -> "Collector":  # noqa: F821
        """The application. Imported here because prometheus-client reads its environment on import."""
        from ingestion.collector.app import Collector, CollectorSettings

        return Collector(
            CollectorSettings(
                shops=load_shops(self._shops_file),
                shops_file=self._shops_file,
                landing=self._data / "landing",
                salts=self._data / "collector" / "salts",
                webhook_secrets=webhook_secrets(),
                requests_per_second=self._requests_per_second,
            )
        )


def webhook_secrets(environment: Mapping[str, str] = os.environ) -> list[bytes]:
    """The apps' client secrets: comma-separated (the current one and, during rotation, the old), and those by store."""
    secrets = environment.get(SECRETS_VARIABLE, "").split(",")
    secrets += [value for name, value in sorted(environment.items()) if name.startswith(CLIENT_SECRET_VARIABLE)]
    return list(dict.fromkeys(secret.strip().encode() for secret in secrets if secret.strip()))


def serve(
    host: str,
    port: int,
    shops_file: Path,
    data: Path,
    workers: int = 1,
    requests_per_second: float = 50.0,
    log_config: dict[str, Any] = LOGGING_CONFIG,
) -> None:
    """Collect until SIGINT or SIGTERM; seals all acknowledged events before it returns.

    Args:
        port: 0 takes a free one.
        requests_per_second: per key, address and worker; 0 is unlimited.
        log_config: for logging.config.dictConfig, applied in every worker.

    Raises:
        ShopsFileError: shops.toml is not usable.
        CannotListen: the port is in use or the landing folder is not writable.
    """
    load_shops(shops_file)
    keep_files_private()
    landing = data / "landing"
    try:
        recover(landing)
        remove_abandoned(unfinished_webhooks(landing / "webhooks"))
        OpenLandingFile(landing).seal()
    except OSError as error:
        raise CannotListen(
            f"{landing} cannot be written ({error.strerror}: {error.filename}): correct its permissions, or choose "
            "another folder with --data."
        ) from error
    config = uvicorn.Config(
        CollectorApp(shops_file, data, requests_per_second),
        factory=True,
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        log_config=log_config,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=MAX_CONNECTIONS_WAITING,
        workers=workers,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # a requested stop is a success; uvicorn re-raises the signal
        signal.signal(number, lambda *_: sys.exit(0))
    if (
        hasattr(signal, "SIGHUP") and workers == 1
    ):  # shops.toml is reloaded automatically; a supervisor restarts its workers
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with _listening(host, port) as listener:
        if workers == 1:
            _Server(config).run(sockets=[listener])
            return
        os.environ[MULTIPROCESS_VARIABLE] = tempfile.mkdtemp(prefix=f"pixelnova-metrics-{os.getpid()}-")
        try:
            _Workers(config, sockets=[listener]).run()
        finally:
            shutil.rmtree(os.environ.pop(MULTIPROCESS_VARIABLE))


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        remedy = "stop the process that uses it, or choose another port with --port"
        if error.errno != errno.EADDRINUSE:
            remedy = "choose an address of this machine with --host and a permitted port with --port"
        raise CannotListen(f"Cannot listen on {host}:{port} ({error.strerror}): {remedy}.") from error
    listener.set_inheritable(True)
    return listener


class _Server(uvicorn.Server):
    """Prints its URL once it listens; leftovers of earlier collectors are sealed by then."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            _announce(sockets[0])


class _Workers(Multiprocess):
    """Several processes on one port; a dead worker is replaced and its gauges are removed."""

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(WORKER_SECONDS, self.should_exit) for process in self.processes):
            _announce(self.sockets[0])

    def keep_subprocess_alive(self) -> None:
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid)


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    print(f"Collecting on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)  # noqa: T201
