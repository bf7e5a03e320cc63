"""With erasures and expiry in between, any sequence of runs still equals a full build of what remains."""

import random
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given

from ingestion.experiments import experiments_file
from ingestion.landing import sealed_files
from ingestion.privacy.erase import erase_pending, suppress
from ingestion.privacy.identifiers import Identifier
from ingestion.privacy.proof import traces
from ingestion.privacy.requests import ERASE, new_request
from ingestion.privacy.retention import expire
from ingestion.privacy.suppression import Suppressions
from ingestion.shops import load_shops
from orchestration.build_state import mark_for_rebuild
from tests.hostile_events import EXPERIMENTS_FILE, SHOPS_FILE, landing_lines, streams
from tests.landing_files import land
from tests.privacy.warehouses import copy_of
from tests.test_incremental import RNG, RULES, examples, shown
from tests.warehouse import Warehouse, differences

RUNS = 4
NOW = datetime(2026, 4, 25, 12, tzinfo=UTC)  # events of March are older than 30 days


@pytest.mark.long
def test_runs_with_erasures_and_expiry_equal_a_full_build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    shops_file = folder / "shops.toml"
    shops_file.write_text(SHOPS_FILE)
    experiments_file(shops_file).write_text(EXPERIMENTS_FILE)
    [limited, by_person, strict] = load_shops(shops_file)
    shops = [
        msgspec.structs.replace(limited, keep_events_days=30, keep_raw_days=30),
        msgspec.structs.replace(by_person, keep_identity_days=30),
        msgspec.structs.replace(strict, keep_orders_anonymous=False),
    ]

    @examples(2)
    @given(stream=streams, rng=RNG)
    def holds(stream, rng: random.Random):
        lines = landing_lines(stream)
        rng.shuffle(lines)
        cut = Warehouse(tmp_path_factory.mktemp("cut"), shops_file)
        for number in range(RUNS):
            land(cut.landing, lines[number::RUNS])
            if number:
                known = "select shop, identifier_kind, identifier from core.identity_map order by all"
                for shop, kind, value in rng.sample(cut.query(known), 2):
                    new_request(cut.data, shop, ERASE, [Identifier(kind, value)])
            erase_pending(cut.data, shops, mark_for_rebuild)
            suppress(cut.data, sealed_files(cut.landing), shops)
            cut.load()
            cut.build(*RULES)
        assert expire(cut.data, shops, mark_for_rebuild, NOW) == 2
        cut.load()
        cut.build(*RULES)
        whole = copy_of(cut, tmp_path_factory.mktemp("whole") / "data", shops_file)
        whole.build(*RULES, "--full-refresh")
        different = differences(cut, whole)
        assert not different, shown(different)
        assert traces(cut.file, Suppressions(cut.data)) == []
        assert cut.query("select count(*) from kept.closed_days") == [(2,)]

    holds()
