"""ECharts options of the dashboard's charts.

Takes rows, returns option dictionaries for `st.echarts_chart`. Colours come from Streamlit's theme, which is set to a
palette that colour-blind readers can tell apart; a second series also differs by line style.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from serving.analytics.annotations import Annotation
from serving.dashboard.formats import decimals

WIDEST = 3  # larger lifts, of rare events, would dwarf the others
Option = dict[str, Any]
Points = Sequence[tuple[date, Any]]
FORMATS = {
    "share": "percent",
    "money": "%,.2f",
    "count": "%,.0f",
    "ratio": "%,.2f",
    "seconds": "%,.0f",
    "days": "%,.1f",
}


def line_chart(
    label: str,
    points: Points,
    earlier: Points,
    unit: str,
    currency: str | None = None,
    annotations: Sequence[Annotation] = (),
) -> Option:
    """A series by date or week, with the period that it is compared with as a dashed line on the same dates."""
    series = [
        {
            "name": label,
            "type": "line",
            "data": [_plain(value, unit) for _, value in points],
            "symbol": "circle" if _has_single_points([value for _, value in points]) else "none",
            "symbolSize": 6,
            "lineStyle": {"width": 2},
            "areaStyle": {"opacity": 0.08},
            **_marks(points, annotations),
        }
    ]
    if earlier:
        series.append(
            {
                "name": "comparison period",
                "type": "line",
                "data": [_plain(value, unit) for _, value in earlier],
                "symbol": "none",
                "lineStyle": {"type": "dashed", "width": 1.5},
            }
        )
    return {
        "animation": False,
        "tooltip": {"trigger": "axis", "valueFormatter": value_format(unit, currency)},
        "legend": {"bottom": 0, "show": bool(earlier)},
        "grid": {"left": 8, "right": 12, "top": 24, "bottom": 36 if earlier else 8, "containLabel": True},
        "xAxis": {"type": "category", "data": [day.isoformat() for day, _ in points]},
        "yAxis": {"type": "value", "min": 0, **_axis(unit)},
        "series": series,
    }


def bar_chart(labels: Sequence[str], series: Mapping[str, Sequence[Any]], unit: str) -> Option:
    """Horizontal bars, the first label on top; one bar per series."""
    return {
        "animation": False,
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}, "valueFormatter": FORMATS.get(unit, "plain")},
        "legend": {"bottom": 0, "show": len(series) > 1},
        "grid": {"left": 8, "right": 24, "top": 8, "bottom": 36 if len(series) > 1 else 8, "containLabel": True},
        "xAxis": {"type": "value", **_axis(unit)},
        "yAxis": {
            "type": "category",
            "data": list(labels),
            "inverse": True,
            "axisLabel": {"width": 140, "overflow": "truncate"},
        },
        "series": [
            {"name": name, "type": "bar", "barMaxWidth": 28, "data": [_plain(value, unit) for value in values]}
            for name, values in series.items()
        ],
    }


def heat_map(rows: Sequence[str], columns: Sequence[str], cells: Sequence[tuple[int, int, Any]]) -> Option:
    """Shares by row and column; cells are (column number, row number, share)."""
    return {
        "animation": False,
        "tooltip": {"valueFormatter": FORMATS["share"], "position": "top"},
        "grid": {"left": 8, "right": 8, "top": 8, "bottom": 56, "containLabel": True},
        "xAxis": {"type": "category", "data": list(columns), "splitArea": {"show": True}},
        "yAxis": {"type": "category", "data": list(rows), "inverse": True, "splitArea": {"show": True}},
        "visualMap": {
            "min": 0,
            "max": 100,
            "calculable": False,
            "text": ["100 %", "0 %"],
            "orient": "horizontal",
            "left": "center",
            "bottom": 0,
            "itemHeight": 80,
        },
        "series": [
            {
                "type": "heatmap",
                "data": [[column, row, _plain(share, "share")] for column, row, share in cells],
            }
        ],
    }


def sankey(links: Sequence[tuple[str, str, int]]) -> Option:
    """Flows from one node to the next. Node names begin with their step number, so that no flow goes back."""
    names = dict.fromkeys(name for source, target, _ in links for name in (source, target))
    return {
        "animation": False,
        "tooltip": {"trigger": "item"},
        "series": [
            {
                "type": "sankey",
                "left": 8,
                "right": 110,
                "top": 8,
                "bottom": 8,
                "emphasis": {"focus": "adjacency"},
                "nodeAlign": "left",
                "lineStyle": {"color": "gradient", "opacity": 0.35},
                "data": [{"name": name} for name in names],
                "links": [{"source": source, "target": target, "value": value} for source, target, value in links],
            }
        ],
    }


def interval_chart(labels: Sequence[str], intervals: Sequence[tuple[float, float, float]]) -> Option:
    """Estimates with their intervals, as (lower, estimate, upper) shares, around a line at zero; clipped at WIDEST."""
    return {
        "animation": False,
        "tooltip": {"trigger": "item", "valueFormatter": FORMATS["share"]},
        "grid": {"left": 8, "right": 24, "top": 8, "bottom": 8, "containLabel": True},
        "xAxis": {
            "type": "value",
            "axisLine": {"onZero": True},
            "min": 100 * max(-1, min(lower for lower, _, _ in intervals)),
            "max": 100 * min(WIDEST, max(upper for _, _, upper in intervals)),
            **_axis("share"),
        },
        "yAxis": {"type": "category", "data": list(labels), "inverse": True},
        "series": [
            {
                "name": "95 % interval",
                "type": "line",
                "data": [[100 * lower, label], [100 * upper, label]],
                "symbol": "rect",
                "symbolSize": [2, 12],
                "lineStyle": {"width": 2},
                "color": "#0072B2",
            }
            for label, (lower, _, upper) in zip(labels, intervals, strict=True)
        ]
        + [
            {
                "name": "estimate",
                "type": "scatter",
                "data": [[100 * estimate, label] for label, (_, estimate, _) in zip(labels, intervals, strict=True)],
                "symbolSize": 10,
                "color": "#D55E00",
                "markLine": {
                    "silent": True,
                    "symbol": "none",
                    "data": [{"xAxis": 0}],
                    "label": {"show": False},
                    "lineStyle": {"type": "solid", "width": 1},
                },
            }
        ],
    }


def _marks(points: Points, annotations: Sequence[Annotation]) -> Option:
    """Annotations of one date as lines, of ranges as areas; by week, at the weeks that contain them."""
    days = [day for day, _ in points]
    if not days or not annotations:
        return {}
    lines, areas = [], []
    for one in annotations:
        first, last = (
            days[max(bisect_right(days, day) - 1, 0)].isoformat() for day in (one.first, min(one.last, days[-1]))
        )
        if first == last:
            lines.append({"xAxis": first, "name": one.text, "label": {"formatter": one.text}})
        else:
            areas.append([{"xAxis": first, "name": one.text}, {"xAxis": last}])
    found: Option = {}
    if lines:
        found["markLine"] = {"symbol": "none", "data": lines, "lineStyle": {"type": "dotted"}}
    if areas:
        found["markArea"] = {"data": areas, "itemStyle": {"opacity": 0.12}, "label": {"position": "insideTop"}}
    return found


def value_format(unit: str, currency: str | None = None) -> str:
    """How a chart shows a value; money with the decimals of its currency."""
    if unit == "money" and currency:
        return f"%,.{decimals(currency)}f"
    return FORMATS.get(unit, "localized")


def _has_single_points(values: Sequence[Any]) -> bool:
    """Whether any value has no neighbour, so that a line would not show it."""
    padded = [None, *values, None]
    return any(
        value is not None and left is None and right is None
        for left, value, right in zip(padded, values, padded[2:], strict=False)
    )


def _axis(unit: str) -> Option:
    if unit == "share":
        return {"axisLabel": {"formatter": "{value} %"}}
    return {"minInterval": 1} if unit == "count" else {}


def _plain(value: Any, unit: str) -> float | None:
    """A number that JSON can hold; a share in percent, since axes cannot be formatted."""
    return None if value is None else float(value) * (100 if unit == "share" else 1)
