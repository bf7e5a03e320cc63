"""`pixelnova experiments check`: mistakes, and edits of phases that have begun."""

from datetime import UTC, datetime

import pytest

from ingestion.experiments import load_experiments
from ingestion.shops import load_shops
from orchestration.cli.experiments import edits, edits_of_begun_phases
from serving.published import ServedPhase, ServedVariation
from tests.conftest import PROJECT
from tests.ingestion.test_experiments import EXPERIMENT, HOLDOUT, SHOPS

NOW = datetime(2026, 11, 5, tzinfo=UTC)
SHOP = SHOPS[0].domain


def served(experiment):
    """An experiment as the published version holds it."""
    return [
        ServedPhase(
            experiment=experiment.key,
            phase=phase.number,
            is_holdout=experiment.is_holdout,
            seed=experiment.seed,
            layer=experiment.layer,
            layer_from=experiment.layer_from,
            layer_to=experiment.layer_to,
            started_at=phase.started_at.isoformat(),
            ended_at=phase.ended_at and phase.ended_at.isoformat(),
            placements=experiment.placements and list(experiment.placements),
            devices=None,
            channels=None,
            audience="",
            variations=[
                ServedVariation(variation.key, *bounds, None if variation.tiers is None else list(variation.tiers))
                for variation, bounds in zip(experiment.variations, phase.ranges, strict=True)
            ],
        )
        for phase in experiment.phases
    ]


@pytest.fixture
def sentences(tmp_path):
    path = tmp_path / "experiments.toml"

    def sentences(before, after):
        path.write_text(before)
        published = [phase for experiment in load_experiments(path, SHOPS) for phase in served(experiment)]
        path.write_text(after)
        return list(edits(load_experiments(path, SHOPS), {SHOP: published}, NOW))

    return sentences


def test_phases_that_have_not_begun_may_change(sentences):
    assert sentences(HOLDOUT + EXPERIMENT, HOLDOUT + EXPERIMENT) == []
    later = EXPERIMENT.replace("[0.2, 0.8]", "[0.4, 0.6]").replace("end = 2026-11-08", "end = 2026-11-09")
    assert sentences(EXPERIMENT, later.replace("start = 2026-11-08", "start = 2026-11-10")) == []


@pytest.mark.parametrize(
    "old, new, what",
    [
        ("coverage = 0.1", "coverage = 0.2", "its weights or coverage"),
        ("[0.5, 0.5]", "[0.4, 0.6]", "its weights or coverage"),
        ("start = 2026-11-01", "start = 2026-11-02", "its start"),
        ('key = "cold-start"', 'key = "cold-start"\nseed = "new"', "its seed"),
        ('key = "cold-start"', 'key = "cold-start"\nlayer = "page"\nlayer_share = 0.5', "its part of the layer"),
        ('key = "cold-start"', 'key = "cold-start"\nplacements = ["popular"]', "its placements or audience"),
        ('key = "cold-start"', 'key = "cold-start"\naudience = {devices = ["mobile"]}', "its placements or audience"),
        ('shows = "similar"', 'shows = "popular"', "what its variations show"),
        ("end = 2026-11-08T12:00:00Z", "end = 2026-11-04", "its end, which is in the past,"),
    ],
)
def test_phase_that_has_begun_must_not_change(sentences, old, new, what):
    [sentence] = sentences(EXPERIMENT, EXPERIMENT.replace(old, new, 1))
    assert sentence == (
        f"cold-start: phase 1 of {SHOP} has begun, and {what} changed. Restore it, and add a phase instead."
    )


def test_phase_that_has_begun_must_not_be_removed(sentences):
    [sentence] = sentences(HOLDOUT + EXPERIMENT, EXPERIMENT)
    assert sentence == f"holdout: phase 1 of {SHOP} has begun and is missing. Restore it, and add a phase instead."


def test_command_names_every_mistake(pixelnova, tmp_path):
    (tmp_path / "shops.toml").write_text(
        f'[[shops]]\ndomain = "{SHOP}"\nname = "A"\ntimezone = "Europe/Berlin"\ncurrency = "EUR"\n'
        'ingest_keys = ["key-00001"]\n'
    )
    assert load_shops(tmp_path / "shops.toml")
    env = {"PIXELNOVA_SHOPS": str(tmp_path / "shops.toml")}
    path = tmp_path / "experiments.toml"
    path.write_text(HOLDOUT + EXPERIMENT)
    done = pixelnova("experiments", "check", data=tmp_path / "data", env=env)
    assert "experiments: 1, holdouts: 1" in done.stdout
    path.write_text(HOLDOUT * 2 + EXPERIMENT.replace("[0.2, 0.8]", "[0.2, 0.7]").replace("click_through", "clicks"))
    done = pixelnova("experiments", "check", data=tmp_path / "data", env=env, check=False)
    assert done.returncode == 1
    assert "cold-start: primary_metrics is ['clicks']: 'clicks' is not a metric" in done.stdout
    assert "cold-start: phase 2: weights is" in done.stdout
    assert "experiments.toml has 2 mistakes" in done.stderr
    assert "Traceback" not in done.stderr
    done = pixelnova("refresh", data=tmp_path / "data", env=env, check=False)
    assert done.returncode == 1
    assert "experiments.toml is not usable. cold-start" in done.stderr
    assert not (tmp_path / "data" / "warehouse.duckdb").exists()


def test_edits_of_published_phases_are_named(built_demo, tmp_path, monkeypatch):
    for name in ("shops.toml", "experiments.toml"):
        (tmp_path / name).write_text((PROJECT / name).read_text())
    monkeypatch.setenv("PIXELNOVA_SHOPS", str(tmp_path / "shops.toml"))
    monkeypatch.setenv("PIXELNOVA_DATA", str(built_demo.data))
    assert edits_of_begun_phases() == []
    declared = (PROJECT / "experiments.toml").read_text()
    (tmp_path / "experiments.toml").write_text(declared.replace("coverage = 0.2", "coverage = 0.3", 1))
    [edit] = edits_of_begun_phases()
    assert "its weights or coverage changed" in edit
