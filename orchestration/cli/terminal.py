"""Output to the terminal: one console, progress bars, short paths."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.text import Text

if TYPE_CHECKING:  # slow to import
    from rich.progress import Progress

    from ingestion.connection import Finding

console = Console()


def progress_bar() -> "Progress":
    """A progress bar that leaves stdout and stderr as they are."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def say(text: str) -> None:
    """Print a message as it is: brackets, such as those of a path, are not markup."""
    console.print(text, markup=False, soft_wrap=True)


def print_finding(finding: "Finding", unknown: str = "?") -> None:
    """Print a mark, the part, what was found, and the remedy. unknown: the mark for that verdict."""
    mark = {"ok": "[green]✓[/green]", "failed": "[red]✗[/red]", "unknown": f"[yellow]{unknown}[/yellow]"}
    console.print(f"{mark[finding.verdict]} [bold]{escape(finding.part)}[/bold]", Text(finding.found), soft_wrap=True)
    if finding.remedy:
        console.print(Text(f"    {finding.remedy}"), soft_wrap=True)


def short(path: Path) -> Path:
    """The path, relative to the working directory if it is inside it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def age_text(age: timedelta) -> str:
    """An age in its largest unit: 3 days, 5 hours, 12 minutes."""
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} seconds"


def size_text(size: int) -> str:
    """A number of bytes in decimal units: 1.2 GB."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= length:
            return f"{size / length:,.1f} {unit}"
    return f"{size} bytes"
