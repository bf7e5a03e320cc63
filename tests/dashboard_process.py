"""The dashboard in a separate process, and a proxy in front of it, for browser tests, screenshots and benchmarks."""

import asyncio
import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.child_process import child_process, read_line

SHOWN = "[data-testid=stMetricValue], [data-testid=stDataFrame], [data-testid=stAlert]"
# The status shown on the page appears only some time after a run has begun.
IDLE = "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"


@contextmanager
def dashboard(data: Path, port: int = 0, **environment: str) -> Iterator[str]:
    """Serve a data folder; yields the address."""
    command = [sys.executable, "-m", "orchestration.cli", "--data", str(data), "dashboard", "--port", str(port)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIXELNOVA_")}
    with child_process(command, env={**inherited, **environment}, stdout=subprocess.PIPE) as process:
        address = read_line(process).rpartition(" ")[2].strip()
        threading.Thread(target=process.stdout.read, daemon=True).start()
        assert address.startswith("http://127.0.0.1:"), address
        yield address
        process.terminate()
        process.wait(60)


@contextmanager
def proxy(address: str, headers: str) -> Iterator[str]:
    """A proxy that adds headers to the first request of each connection, such as a WebSocket; yields its address."""
    target = urlsplit(address)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        inside, outside = await asyncio.open_connection(target.hostname, target.port)
        outside.write(first + headers.encode())
        await asyncio.gather(copy(reader, outside), copy(inside, writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    ports: queue.Queue[int] = queue.Queue()
    threading.Thread(target=asyncio.run, args=(run(),), daemon=True).start()
    yield f"http://127.0.0.1:{ports.get()}"
