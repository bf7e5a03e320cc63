"""The document of all metrics: docs/metrics.md. `python -m tests.metrics_document` rewrites it from the catalogue."""

from itertools import groupby

from serving.metrics import Metric, MetricCatalogue, load_metrics
from tests.warehouse import DBT_PROJECT

DOCUMENT = DBT_PROJECT.parent / "docs" / "metrics.md"
HEAD = """# Metrics

Generated from `dbt_project/metrics.yml` by `python -m tests.metrics_document`. Every page, the analytics API and
`metrics.json` of a published version use these definitions.

Activity excludes bots; orders and sales exclude test orders. Money has one value per currency. Shares are from 0 to 1.
Daily values add up to that of a period only where the table says so: a visitor on two days is one visitor.
"""


def document(catalogue: MetricCatalogue) -> str:
    """The catalogue as Markdown: a table per topic."""
    parts = [HEAD]
    for topic, metrics in groupby(catalogue.values(), key=lambda metric: metric.topic):
        rows = [_row(catalogue, metric) for metric in metrics]
        head = ("Metric", "What it is", "How it is computed", "Unit", "Good", "Adds up over dates", "From", "By")
        lines = [head, ["---"] * len(head), *rows]
        parts.append(f"## {topic}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines))
    return "\n".join(parts)


def _row(catalogue: MetricCatalogue, metric: Metric) -> list[str]:
    parts = catalogue.parts(metric)
    unit = f"{metric.unit}, per currency" if catalogue.has_currency(metric) else metric.unit
    marts = ", ".join(dict.fromkeys(f"`{part.mart}`" for part in parts))
    return [
        f"**{metric.label}**<br>`{metric.name}`",
        metric.description,
        metric.formula,
        unit,
        metric.good,
        "yes" if metric.additive else "no",
        marts,
        ", ".join(catalogue.dimensions(metric)) or "–",
    ]


if __name__ == "__main__":
    DOCUMENT.write_text(document(load_metrics()))
