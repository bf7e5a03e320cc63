"""Runs the API server: one socket, one or more worker processes.

Takes the command's options, serves until SIGINT or SIGTERM.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import LOGGING_CONFIG
from uvicorn.supervisors import Multiprocess

from serving.api.middleware import MULTIPROCESS_VARIABLE
from serving.api.routes import ApiSettings, create_api
from serving.api.visitor_access import secrets_of_environment
from serving.listening import listen

MAX_CONNECTIONS_WAITING = 1024
WORKER_SECONDS = 30.0
GRACE_SECONDS = 10


def serve(
    host: str,
    port: int,
    data: Path,
    workers: int = 1,
    requests_per_second: int = 50,
    log_config: dict[str, Any] = LOGGING_CONFIG,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        port: 0 takes a free one.
        requests_per_second: limit per address and worker; 0 is unlimited.
        log_config: for logging.config.dictConfig, applied in every worker.

    Raises:
        CannotListen: the port is taken.
    """
    config = uvicorn.Config(
        ApiApp(data, requests_per_second),
        factory=True,
        ws="none",
        lifespan="on",
        log_config=log_config,
        log_level="warning",
        access_log=False,  # it would contain visitor ids
        server_header=False,
        backlog=MAX_CONNECTIONS_WAITING,
        workers=workers,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # exit 0: uvicorn raises the signal again after shutdown
        signal.signal(number, lambda *_: sys.exit(0))
    with listen(host, port) as listener:
        if workers == 1:
            _Server(config).run(sockets=[listener])
            return
        os.environ[MULTIPROCESS_VARIABLE] = tempfile.mkdtemp(prefix=f"pixelnova-api-metrics-{os.getpid()}-")
        try:
            _Workers(config, sockets=[listener]).run()
        finally:
            shutil.rmtree(os.environ.pop(MULTIPROCESS_VARIABLE))


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()
    print(f"Pixelnova API listening on http://{host}:{port}", flush=True)  # noqa: T201


class ApiApp:
    """Creates a worker's application from the command's options; picklable, for worker processes."""

    def __init__(self, data: Path, requests_per_second: int) -> None:
        self._data, self._requests_per_second = data, requests_per_second

    def __call__(self) -> FastAPI:
        """The application; its secrets come from the environment, so that they appear on no command line."""
        return create_api(self._data, ApiSettings(self._requests_per_second, secrets_of_environment()))


class _Server(uvicorn.Server):
    """Prints its address once it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit and sockets:
            _announce(sockets[0])


class _Workers(Multiprocess):
    """Worker processes on one port; a worker that dies is replaced."""

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(WORKER_SECONDS, self.should_exit) for process in self.processes):
            _announce(self.sockets[0])
