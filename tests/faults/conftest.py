"""What all tests of faults share: a server that forks refreshes, and a data folder built without a fault."""

import pytest

from tests.faults.killed_runs import Rebuilt, rebuilt_store
from tests.faults.refresh_process import start_server


@pytest.fixture(scope="session")
def rebuilt(tmp_path_factory) -> Rebuilt:
    """What every data folder must equal at the end."""
    start_server()
    return rebuilt_store(tmp_path_factory.mktemp("rebuilt"))
