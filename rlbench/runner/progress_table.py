"""The table of the live view, fitted to a terminal: which columns and rows there is room for, and what stands in them."""

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rlbench.runner.updates import VariantProgress, count, fraction, is_done

_ALWAYS = ("variant", "", "runs", "left")
# In the order in which a wider terminal gains them, with the width from which it does.
_OPTIONAL = (("%", 46), ("return", 60), ("steps/s", 72), ("lanes", 84))
_WIDTHS = {"%": 5, "runs": 7, "lanes": 5, "steps/s": 7, "left": 7, "return": 7}
_ORDER = ("variant", "", "%", "runs", "lanes", "steps/s", "left", "return")


def columns_that_fit(width: int) -> tuple[str, ...]:
    """The names of the columns for which a terminal of this width has room."""
    gained = {name for name, least in _OPTIONAL if width >= least}
    return tuple(name for name in _ORDER if name in gained or name in _ALWAYS)


def add_columns(table: Table, columns: Sequence[str], width: int) -> None:
    """Numbers get their room first, then the bar, and the name what is left."""
    bar = min(24, max(6, width // 6))
    numbers = sum(_WIDTHS[name] + 2 for name in columns if name in _WIDTHS)
    for name in columns:
        if name == "variant":
            table.add_column(name, overflow="ellipsis", no_wrap=True, max_width=max(7, width - numbers - bar - 2))
        elif name == "":
            table.add_column(name, width=bar)
        else:
            table.add_column(name, justify="right", no_wrap=True, min_width=_WIDTHS[name])


def rows_that_fit(
    totals: Mapping[str, VariantProgress], room: int
) -> tuple[Sequence[tuple[str, VariantProgress]], int]:
    """As many variants as there are lines: those under way first, the finished last, else in their order."""
    if len(totals) <= room:
        return list(totals.items()), 0
    urgency = sorted(totals.items(), key=lambda item: (is_done(item[1]), not item[1].lanes_running))
    kept = {name for name, _ in urgency[: room - 1]}
    return [item for item in totals.items() if item[0] in kept], len(totals) - len(kept)


def cells(
    name: str, total: VariantProgress, speed: float, columns: Sequence[str], left: str, lanes: int | None = None
) -> list[RenderableType]:
    """What stands in these columns for a variant; `speed` is in steps a second."""
    has_ended = is_done(total)
    lanes = total.lanes_running if lanes is None else lanes
    shown: dict[str, RenderableType] = {
        "variant": Text(name),
        "": ProgressBar(total=1.0, completed=fraction(total)),
        "%": f"{100 * fraction(total):.0f} %",
        "runs": f"{total.runs_done}/{total.runs_total}",
        "lanes": str(lanes) if lanes else "",
        "steps/s": count(speed) if speed > 0 and not has_ended else "",
        "left": Text("done", style="green") if has_ended else left or "waiting",
        "return": "" if total.recent_return is None else f"{total.recent_return:.1f}",
    }
    return [shown[column] for column in columns]
