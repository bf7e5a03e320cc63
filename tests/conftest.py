"""Shared fixtures: the demo shop, the shared data, the real command, and the demo's warehouse."""

import fcntl
import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ingestion.shops import Shop, load_shops
from tests.browser import chromium  # noqa: F401  (a fixture)

if TYPE_CHECKING:
    from tests.warehouse import Warehouse

PROJECT = Path(__file__).resolve().parent.parent

# Workers keep large objects, such as dbt's parsed project, which every collection would traverse.
gc.set_threshold(50_000, 20, 100)


# Slow files start first, so that the run does not end with one busy core.
LONGEST = (
    *("test_pipeline.py", "test_incremental.py", "test_real_data.py", "test_erasure.py", "test_killed_refresh.py"),
    *("test_shopify_news.py", "test_cli.py", "test_eligibility.py", "test_fence.py"),
)


# What concerns the tests themselves.
OF_TESTS = {"PIXELNOVA_CI", "PIXELNOVA_CHROMIUM", "PIXELNOVA_SHARED_DATA"}


def pytest_configure() -> None:
    """Hide the developer's own data folder, shops, tokens and engine from all tests and fixtures."""
    for name in list(os.environ):
        if name.startswith("PIXELNOVA_") and name not in OF_TESTS:
            del os.environ[name]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the slowest files first, in file order; skip tests marked `long` or `spark` without their option."""
    for marker in ("long", "spark"):
        if not config.getoption(f"--{marker}"):
            config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker(marker)])
            items[:] = [item for item in items if not item.get_closest_marker(marker)]
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long` and `--spark`: see the Makefile."""
    parser.addoption("--long", action="store_true", help="add the tests that take many minutes")
    parser.addoption("--spark", action="store_true", help="build on a Spark cluster of this machine")


@pytest.fixture(scope="session")
def shop() -> Shop:
    """The demo shop of shops.toml."""
    return load_shops(PROJECT / "shops.toml")[0]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data outside the project; tests that need it are skipped if it is absent."""
    folder = Path(os.environ.get("PIXELNOVA_SHARED_DATA", PROJECT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"the shared test data is not at {folder}; name its folder in PIXELNOVA_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def pixelnova() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the `pixelnova` command as a user would; `check=False` to look at a failure."""

    def run(
        *arguments: str | Path,
        data: Path,
        check: bool = True,
        env: dict[str, str] | None = None,
        stdin: str = "",
        timeout: float = 600,
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "orchestration.cli", "--data", str(data), *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env={**os.environ, "COLUMNS": "200", **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    return run


@pytest.fixture(scope="session")
def built_demo(tmp_path_factory: pytest.TempPathFactory) -> "Warehouse":
    """The demo warehouse of tests/questions.py; tests only read it."""
    from tests.questions import demo_warehouse
    from tests.warehouse import Warehouse

    data = built_once(tmp_path_factory, "built_demo", demo_warehouse)
    return Warehouse(data, PROJECT / "shops.toml", load=False)


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that the first worker that needs it builds, and that all workers read."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            build(folder)
            done.touch()
    return folder
