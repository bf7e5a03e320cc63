"""Measures the collector against nginx and FastAPI: one run, interleaved rounds, medians and ratios.

Each server stores the body of a POST. nginx writes it to its access log, without validation or sync; FastAPI with
pydantic validates it and writes it with a flush, or with a sync per request; ours validates, builds the envelope, and
responds after the group commit has synced. "ours without sync" has fdatasync disabled. CPU is that of the process tree,
from /proc. wrk runs on the same machine, so requests per second are meaningful only as ratios.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ingestion.shops import load_shops
from tests.child_process import free_port
from tests.conftest import PROJECT

TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 64
NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")

NGINX = """
load_module {module};
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    log_format bodies escape=json '{{"received_at":"$time_iso8601","body":"$request_body"}}';
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_body_buffer_size 128k; client_body_in_single_buffer on; keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{ access_log {folder}/bodies.log bodies; echo_read_request_body; echo_status 204; echo_flush; }}
    }}
}}
"""

FASTAPI = """
import os
from typing import Any
from fastapi import FastAPI, Response
from pydantic import BaseModel

class Event(BaseModel):
    id: str
    name: str
    clientId: str | None = None
    timestamp: str
    type: str | None = None
    context: dict[str, Any] | None = None
    data: dict[str, Any] | None = None

app = FastAPI()
file = open({path!r}, "a")

@app.post("/v1/events/{{key}}")
async def take(key: str, event: Event) -> Response:
    file.write(event.model_dump_json() + "\\n")
    file.flush()
    if {sync}:
        os.fsync(file.fileno())
    return Response(status_code=204)
"""

UNSYNCED = """
import os, sys
os.fdatasync = lambda descriptor: None
from orchestration.cli import main
sys.argv = ["pixelnova", *sys.argv[1:]]
main()
"""

SLOW_DISK = """
import os, time

def slower(sync):
    def synced(descriptor):
        time.sleep({seconds})
        return sync(descriptor)
    return synced

os.fsync, os.fdatasync = slower(os.fsync), slower(os.fdatasync)
"""

WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = {content_type!r}
wrk.body = [==[{body}]==]
done = function(summary, latency, requests)
    local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    io.write(string.format("RESULT %d %f %f %f %d %d\\n", summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, summary.errors.status, errors))
end
"""


def event() -> dict:
    """A product_viewed of about 1.5 kB, as the pixel sends it."""
    from ingestion.simulator.catalogue import build_catalogue
    from ingestion.simulator.shoppers import simulate

    shop = load_shops(PROJECT / "shops.toml")[0]
    deliveries = simulate(shop, build_catalogue(1), 1, datetime(2026, 11, 1, tzinfo=UTC), days=1).deliveries
    found = [one for delivery in deliveries for one in delivery.events if one["name"] == "product_viewed"]
    return min(found, key=lambda one: abs(len(json.dumps(one)) - 1500))


class Contestant:
    """One server: its command and its requests."""

    def __init__(self, name: str, command, body: bytes, events: int, folder: Path, content_type="text/plain") -> None:
        self.name, self.command, self.events = name, command, events
        self.script = folder / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.lua"
        self.script.write_text(WRK.format(content_type=content_type, body=body.decode()))
        self.rounds: list[dict[str, float]] = []


@contextmanager
def running(command: list[str], port: int, folder: Path):
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{PROJECT}"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, start_new_session=True, **quiet)
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{command} did not start") from None
            time.sleep(0.05)
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(inner for child in children for inner in tree(int(child)))]


def cpu_seconds(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_megabytes(pids: list[int]) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def machine_cpu_seconds() -> float:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(field) for number, field in enumerate(fields) if number not in (3, 4)) / TICKS


def measure(contestant: Contestant, port: int, pid: int, key: str, seconds: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}/v1/events/{key}"

    def wrk(duration: int) -> list[float]:
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{duration}s", "-s", str(contestant.script), url]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [float(value) for value in re.search(r"RESULT (.*)", output).group(1).split()]

    wrk(1)
    pids = tree(pid)
    cpu, machine = cpu_seconds(pids), machine_cpu_seconds()
    requests, duration, p50, p99, refused, errors = wrk(seconds)
    cpu, machine = cpu_seconds(pids) - cpu, machine_cpu_seconds() - machine
    return {
        "requests_per_second": requests / duration,
        "events_per_second": requests * contestant.events / duration,
        "p50_ms": p50,
        "p99_ms": p99,
        "cpu_us_per_event": cpu / (requests * contestant.events) * 1e6,
        "resident_mb": resident_megabytes(pids),
        "refused": refused,
        "errors": errors,
        "machine_busy_cores": machine / duration,
    }


def sync_milliseconds(folder: Path) -> float:
    """The median time of one fsync after a write of 1.5 kB, on the disk that all servers use."""
    times = []
    with (folder / "syncs").open("wb", buffering=0) as file:
        for _ in range(300):
            file.write(b"x" * 1500)
            started = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def contestants(folder: Path, key: str) -> list[Contestant]:
    one = json.dumps(event()).encode()
    ten = json.dumps({"events": [event()] * 10}).encode()
    python = sys.executable

    def nginx(port: int) -> list[str]:
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, module=NGINX_MODULE))
        return ["nginx", "-c", str(config), "-p", str(folder)]

    def fastapi(sync: bool):
        def command(port: int) -> list[str]:
            name = f"fastapi_{'sync' if sync else 'flush'}"
            (folder / f"{name}.py").write_text(FASTAPI.format(path=str(folder / f"{name}.jsonl"), sync=sync))
            app = [python, "-m", "uvicorn", f"{name}:app", "--app-dir", str(folder), "--no-access-log"]
            return [*app, "--log-level", "critical", "--port", str(port)]

        return command

    def ours(*, sync: bool):
        def command(port: int) -> list[str]:
            start = ["-m", "orchestration.cli"] if sync else ["-c", UNSYNCED]
            data = folder / f"ours-{sync}"
            collect = ["collect", "--port", str(port), "--requests-per-second", "0"]
            return [python, *start, "--data", str(data), *collect]

        return command

    return [
        Contestant("nginx, body to its log, no sync", nginx, one, 1, folder),
        Contestant("FastAPI + pydantic, flush", fastapi(False), one, 1, folder, "application/json"),
        Contestant("FastAPI + pydantic, fsync per request", fastapi(True), one, 1, folder, "application/json"),
        Contestant("ours without sync", ours(sync=False), one, 1, folder),
        Contestant("ours, durable", ours(sync=True), one, 1, folder),
        Contestant("ours, durable, batches of 10", ours(sync=True), ten, 10, folder),
    ]


def median(contestant: Contestant, figure: str) -> float:
    return statistics.median(found[figure] for found in contestant.rounds)


def report(found: list[Contestant], rounds: int, seconds: int) -> dict:
    nginx, flush, fsync, _, durable, batches = found
    cpu, rate = "cpu_us_per_event", "requests_per_second"
    ratios = {
        "CPU per event, durable / nginx (target: <= 4.5)": median(durable, cpu) / median(nginx, cpu),
        "CPU per event, batches of 10 / nginx (target: <= 1.2)": median(batches, cpu) / median(nginx, cpu),
        "requests/s, durable / FastAPI without fsync (target: >= 2)": median(durable, rate) / median(flush, rate),
        "requests/s, durable / FastAPI with fsync (target: >= 20)": median(durable, rate) / median(fsync, rate),
    }
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": rounds,
        "seconds": seconds,
        "connections": CONNECTIONS,
        "cores": os.cpu_count(),
        "medians": {one.name: {figure: round(median(one, figure), 2) for figure in one.rounds[0]} for one in found},
        "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()},
    }


def table(result: dict) -> str:
    figures = ["requests_per_second", "events_per_second", "p50_ms", "p99_ms", "cpu_us_per_event", "resident_mb"]
    lines = ["| server | requests/s | events/s | p50 ms | p99 ms | CPU µs/event | memory MB | refused, errors |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for name, medians in result["medians"].items():
        cells = [f"{medians[figure]:,.1f}" for figure in figures]
        lines.append(f"| {name} | {' | '.join(cells)} | {medians['refused']:.0f}, {medians['errors']:.0f} |")
    lines += ["", "| ratio of medians | |", "|---|---|"]
    lines += [f"| {name} | **{ratio}** |" for name, ratio in result["ratios"].items()]
    lines += [
        "",
        f"One fsync took {result['fsync_ms']} ms (median); {result['cores']} cores, load on the same machine.",
    ]
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--json", type=Path, help="write the result to this file")
    arguments.add_argument(
        "--slower-sync-ms", type=float, default=0, help="delay every sync, to simulate a slower disk"
    )
    options = arguments.parse_args()
    for needed, package in (("wrk", "wrk"), ("nginx", "nginx-light libnginx-mod-http-echo")):
        if not shutil.which(needed):
            sys.exit(f"{needed} is missing: apt-get install {package}")
    key = load_shops(PROJECT / "shops.toml")[0].ingest_keys[0]
    with tempfile.TemporaryDirectory(dir=PROJECT / "data") as folder:
        Path(folder).chmod(0o755)
        if options.slower_sync_ms:  # for both Python servers: every interpreter imports `sitecustomize`
            slow = SLOW_DISK.format(seconds=options.slower_sync_ms / 1000)
            (Path(folder) / "sitecustomize.py").write_text(slow)
        found = contestants(Path(folder), key)
        syncs = [sync_milliseconds(Path(folder))]
        for number in range(options.rounds):
            for one in found:
                port = free_port()
                with running(one.command(port), port, Path(folder)) as pid:
                    one.rounds.append(measure(one, port, pid, key, options.seconds))
                print(f"round {number + 1}: {one.name}: {one.rounds[-1]}", flush=True)
            syncs.append(sync_milliseconds(Path(folder)))
    result = report(found, options.rounds, options.seconds) | {
        "fsync_ms": round(statistics.median(syncs), 3),
        "slower_sync_ms": options.slower_sync_ms,
    }
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
