"""The commands `experiments …`: check experiments.toml.

Reads experiments.toml, shops.toml and the published version; prints a sentence for each mistake.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.text import Text

from orchestration.cli.terminal import console
from orchestration.errors import OrchestrationError
from orchestration.settings import data_folder, shops_file

if TYPE_CHECKING:  # imports duckdb
    from ingestion.experiments import Experiment, Phase
    from serving.published import ServedPhase

ADD_A_PHASE = "Restore it, and add a phase instead."


class ExperimentsNotUsable(OrchestrationError):
    """experiments.toml has mistakes; they were printed, the message says how many."""


def check() -> None:
    """Check experiments.toml: every mistake, and whether a phase that has begun was edited."""
    from ingestion.experiments import experiments_file, experiments_of, mistakes, read_document
    from ingestion.shops import load_shops

    shops, path = load_shops(shops_file()), experiments_file(shops_file())
    document = read_document(path)
    found = mistakes(document, shops)
    experiments = [] if found else experiments_of(document, shops)
    if not found:
        found = list(edits(experiments, _published_phases(), datetime.now(UTC)))
    for problem in found:
        console.print("[red]✗[/red]", Text(problem), soft_wrap=True)
    if found:
        number = "1 mistake" if len(found) == 1 else f"{len(found)} mistakes"
        raise ExperimentsNotUsable(f"{path} has {number}: fix what is listed above, then run this again.")
    holdouts = sum(experiment.is_holdout for experiment in experiments)
    count = len(experiments) - holdouts
    console.print(f"[green]✓[/green] experiments: {count}, holdouts: {holdouts}. The next refresh publishes them.")


def edits_of_begun_phases() -> list[str]:
    """A sentence for each edit of a phase that has begun, compared with the newest published version.

    Raises:
        ExperimentsFileError: experiments.toml cannot be used.
    """
    from ingestion.experiments import experiments_file, load_experiments
    from ingestion.shops import load_shops

    experiments = load_experiments(experiments_file(shops_file()), load_shops(shops_file()))
    return list(edits(experiments, _published_phases(), datetime.now(UTC)))


def edits(declared: Sequence["Experiment"], published: dict[str, list["ServedPhase"]], now: datetime) -> Iterator[str]:
    """A sentence for each published phase that has begun and whose declaration was changed or removed."""
    phases = {(one.shop, one.key, phase.number): (one, phase) for one in declared for phase in one.phases}
    for shop, begun in published.items():
        for served in begun:
            if datetime.fromisoformat(served.started_at) > now:
                continue
            whose = f"{served.experiment}: phase {served.phase} of {shop} has begun"
            if (shop, served.experiment, served.phase) not in phases:
                yield f"{whose} and is missing. {ADD_A_PHASE}"
                continue
            changed = list(_changed(*phases[shop, served.experiment, served.phase], served, now))
            if changed:
                yield f"{whose}, and {' and '.join(changed)} changed. {ADD_A_PHASE}"


def _changed(experiment: "Experiment", phase: "Phase", served: "ServedPhase", now: datetime) -> Iterator[str]:
    if phase.started_at != datetime.fromisoformat(served.started_at):
        yield "its start"
    ended_at = None if served.ended_at is None else datetime.fromisoformat(served.ended_at)
    if phase.ended_at != ended_at and min(phase.ended_at or now, ended_at or now) < now:
        yield "its end, which is in the past,"
    if experiment.seed != served.seed:
        yield "its seed"
    layers = (experiment.layer, experiment.layer_from, experiment.layer_to)
    if layers != (served.layer, served.layer_from, served.layer_to):
        yield "its part of the layer"
    if [_listed(experiment.placements), _listed(experiment.devices), _listed(experiment.channels)] != [
        *(served.placements, served.devices, served.channels)
    ]:
        yield "its placements or audience"
    shows = [(variation.key, _listed(variation.tiers)) for variation in experiment.variations]
    if shows != [(variation.variation, variation.tiers) for variation in served.variations]:
        yield "what its variations show"
    if phase.ranges != [(variation.bucket_from, variation.bucket_to) for variation in served.variations]:
        yield "its weights or coverage"


def _listed(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _published_phases() -> dict[str, list["ServedPhase"]]:
    """The phases of each shop in the newest published version."""
    from serving.published import NothingPublished, read_current

    try:
        published = read_current(data_folder())
    except NothingPublished:
        return {}
    return {shop: published.experiments(shop).experiments for shop in published.shops()}
