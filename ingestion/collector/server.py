"""Runs the collector under uvicorn.

shops.toml and a port flow in; a running server flows out, which says where it listens as its first line of output.
"""

import socket
from pathlib import Path

import uvicorn

from ingestion.collector.app import Collector
from ingestion.landing import OpenLandingFile
from ingestion.shops import load_shops


class CannotListen(Exception):
    """The address or the landing folder cannot be used; the message names the remedy."""


def serve(host: str, port: int, shops_file: Path, landing_folder: Path) -> None:
    """Collect until SIGINT or SIGTERM; what was acknowledged is sealed before this returns.

    Args:
        port: 0 takes a free one.

    Raises:
        ShopsFileError: shops.toml is not usable.
        CannotListen: the port is taken or the landing folder cannot be written.
    """
    app = Collector(load_shops(shops_file), landing_folder)
    try:
        OpenLandingFile(landing_folder).seal()
    except OSError as error:
        raise CannotListen(
            f"{landing_folder} cannot be written ({error.strerror}): correct its permissions, or choose another "
            "folder with --data."
        ) from error
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise CannotListen(
                f"{host}:{port} cannot be listened on ({error.strerror}): end what uses it, or choose another "
                "port with --port."
            ) from error
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on", ws="none")
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says where it listens once it does: what earlier collectors left behind is sealed by then."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            host, port = sockets[0].getsockname()
            print(f"Collecting on http://{host}:{port}", flush=True)  # noqa: T201
