"""A Spark cluster on this machine: metastore, standalone master, workers and Thrift server, on loopback.

    python -m tests.spark.cluster up      start it, with its tables in data/spark
    python -m tests.spark.cluster down    end its processes; the tables stay

Everything comes from the extra `spark` (wheels) and Java 17. For tests and trials: no authentication, no TLS, one host.
"""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.child_process import free_port
from tests.spark.iceberg_jars import iceberg_jars

CATALOG = "org.apache.iceberg.spark.SparkSessionCatalog"
EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
EXECUTOR_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# The driver plans thousands of statements: by default, its cache of compiled code is full after a hundred models, and
# each session that ends collects all garbage.
DRIVER_OPTIONS = "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=512m -XX:MetaspaceSize=512m -XX:+DisableExplicitGC"
# Seconds until the Thrift server answers.
START_TIMEOUT = 120
THRIFT_PORT = 10000


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its folder, the port of its Thrift server, and its processes in the order they started."""

    folder: str
    port: int
    pids: tuple[int, ...]

    def environment(self) -> dict[str, str]:
        """The variables from which the dbt target `spark` takes its address."""
        return {"PIXELNOVA_SPARK_HOST": "127.0.0.1", "PIXELNOVA_SPARK_PORT": str(self.port)}

    def stop(self) -> None:
        """End its processes, the Thrift server first."""
        for pid in reversed(self.pids):
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
        for pid in self.pids:
            _wait_for_end(pid)
        _state_file(Path(self.folder)).unlink(missing_ok=True)


def missing_tool() -> str | None:
    """What is missing to start a cluster, and how to install it; None if nothing."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "Java is missing: apt-get install openjdk-17-jre-headless"
    for package in ("pyspark", "snowpark_connect_deps_iceberg", "pyhive", "dbt.adapters.spark"):
        try:
            found = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            found = None
        if found is None:
            return "Spark is missing: pip install 'pixelnova[spark]'"
    return None


def start(
    folder: Path, workers: int = 2, port: int | None = None, settings: Mapping[str, str] | None = None
) -> Cluster:
    """Start a cluster and wait until its Thrift server answers.

    Args:
        folder: for tables, metastore and logs.
        workers: each with one core and one executor; 0: the Thrift server runs the tasks itself, on two cores.
        port: of the Thrift server; None: a free one.
        settings: of Spark, in place of or beside those of `configuration`.

    Raises:
        RuntimeError: a process did not start; the message names its log.
    """
    folder = folder.resolve()
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    port, metastore = port or free_port(), free_port()
    configured = configuration(folder, port, metastore) | dict(settings or {})
    pids: list[int] = []
    try:
        pids.append(_spawn(folder, "metastore", _metastore(folder, metastore)))
        _wait_for_port(metastore, pids[-1], folder / "logs" / "metastore.log")
        master = "local[2]"
        if workers:
            address = free_port()
            master = f"spark://127.0.0.1:{address}"
            pids.append(_spawn(folder, "master", _deploy("master.Master", "--port", str(address))))
            _wait_for_port(address, pids[-1], folder / "logs" / "master.log")
            memory = configured["spark.executor.memory"]
            for number in range(1, workers + 1):
                options = ("--cores", "1", "--memory", memory, "--work-dir", str(folder / "work" / str(number)), master)
                pids.append(_spawn(folder, f"worker-{number}", _deploy("worker.Worker", *options)))
        conf = [part for key, value in configured.items() for part in ("--conf", f"{key}={value}")]
        thrift = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
        submit = ["org.apache.spark.deploy.SparkSubmit", "--master", master, *conf, "--class", thrift, "spark-internal"]
        pids.append(_spawn(folder, "thrift", submit))
        _wait_for_port(port, pids[-1], folder / "logs" / "thrift.log")
    except BaseException:  # no process may outlive a failed start
        Cluster(str(folder), port, tuple(pids)).stop()
        raise
    cluster = Cluster(str(folder), port, tuple(pids))
    _state_file(folder).write_text(json.dumps(asdict(cluster)))
    return cluster


def configuration(folder: Path, port: int, metastore: int) -> dict[str, str]:
    """Spark's settings. A cluster elsewhere needs those of the catalogue; the others fit a small machine."""
    jars = ":".join(map(str, iceberg_jars(folder / "jars")))
    return {
        "spark.sql.extensions": EXTENSIONS,
        "spark.sql.catalog.spark_catalog": CATALOG,
        "spark.sql.catalog.spark_catalog.type": "hive",
        "spark.sql.warehouse.dir": str(folder / "tables"),
        # Not spark.jars: the Thrift server would not find the classes.
        "spark.driver.extraClassPath": jars,
        "spark.executor.extraClassPath": jars,
        "spark.hadoop.hive.metastore.uris": f"thrift://127.0.0.1:{metastore}",
        "spark.driver.extraJavaOptions": DRIVER_OPTIONS,
        "spark.executor.extraJavaOptions": EXECUTOR_OPTIONS,
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.ui.explainMode": "simple",  # the formatted plan of each statement costs time, and nobody sees it
        # The metastore has no tables for locks; one Thrift server is its only client.
        "spark.hadoop.iceberg.engine.hive.lock-enabled": "false",
        "spark.executor.memory": "1g",
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "false",
        "spark.hadoop.hive.server2.thrift.bind.host": "127.0.0.1",
        "spark.hadoop.hive.server2.thrift.port": str(port),
        "spark.local.dir": str(folder / "scratch"),
    }


def _deploy(name: str, *options: str) -> list[str]:
    return [f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", "--webui-port", "0", *options]


def _metastore(folder: Path, port: int) -> list[str]:
    settings = {
        "javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder / 'metastore'};create=true",
        "hive.metastore.warehouse.dir": str(folder / "tables"),
        "hive.metastore.schema.verification": "false",
        "datanucleus.schema.autoCreateAll": "true",
    }
    options = [part for setting in settings.items() for part in ("--hiveconf", "=".join(setting))]
    return ["org.apache.hadoop.hive.metastore.HiveMetaStore", "-p", str(port), *options]


def _spawn(folder: Path, name: str, command: list[str]) -> int:
    """Start a Spark class in its own process group; returns its pid."""
    found = importlib.util.find_spec("pyspark")
    assert found is not None and found.origin is not None
    home = Path(found.origin).parent
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_CONF_DIR": str(folder),
        # The Thrift server takes its memory from here, not from spark.driver.memory.
        "SPARK_DAEMON_MEMORY": "3g" if name == "thrift" else "512m",
        "PYSPARK_PYTHON": sys.executable,
        # The metastore would load a library of asynchronous logging, which PySpark lacks.
        "JDK_JAVA_OPTIONS": "-Dhive.async.log.enabled=false",
    }
    with (folder / "logs" / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(home / "bin" / "spark-class"), *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return process.pid


def _wait_for_port(port: int, pid: int, log: Path) -> None:
    for _ in range(START_TIMEOUT * 5):
        if not _is_running(pid):
            break
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise RuntimeError(f"Spark did not start; see {log}")


def _wait_for_end(pid: int) -> None:
    for _ in range(100):
        if not _is_running(pid):
            return
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _is_running(pid: int) -> bool:
    with suppress(ChildProcessError):  # it is not a child of this process
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _state_file(folder: Path) -> Path:
    return folder / "cluster.json"


def running(folder: Path) -> Cluster | None:
    """The cluster that was started in this folder and still runs."""
    with suppress(FileNotFoundError):
        state = json.loads(_state_file(folder).read_text())
        cluster = Cluster(state["folder"], state["port"], tuple(state["pids"]))
        if all(map(_is_running, cluster.pids)):
            return cluster
    return None


def main(command: str) -> int:
    """`up` or `down`."""
    folder = Path(os.environ.get("PIXELNOVA_DATA", "data")) / "spark"
    cluster = running(folder)
    if command == "down":
        if cluster:
            cluster.stop()
        print("Spark is stopped.")
        return 0
    if problem := missing_tool():
        print(problem, file=sys.stderr)
        return 1
    cluster = cluster or start(folder, port=THRIFT_PORT)
    print(f"Spark's Thrift server is at 127.0.0.1:{cluster.port}. Build with:")
    print("    dbt build --target spark --project-dir dbt_project --profiles-dir dbt_project")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
