"""What workers say about themselves about once a second, and what several of them come to together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class VariantProgress:
    """A worker's share of one variant.

    done_steps and total_steps are environment steps over all its runs, finished ones included; a total of 0 says that
    it is not known (a budget in episodes), and runs are counted instead. recent_return: mean of recent training
    episodes. runs_share: runs' worth of the budgets that is done, 2.5 of 8 runs, also where budgets are in episodes.
    """

    done_steps: int
    total_steps: int
    runs_done: int
    runs_total: int
    recent_return: float | None = None
    lanes_running: int = 0
    runs_share: float = 0.0


@dataclass(frozen=True)
class WorkerUpdate:
    """All that one worker has to say; it replaces whatever the same worker said before. compile_seconds: waited for the compiler."""

    worker: int
    lanes_running: int
    per_variant: Mapping[str, VariantProgress]
    lane_steps_per_second: float
    compile_seconds: float = 0.0


def added(shares: Iterable[VariantProgress]) -> VariantProgress:
    """Several shares as one; the return is weighted by runs, and unknown totals make the sum unknown."""
    known = list(shares)
    heard = [(share.recent_return, share.runs_total) for share in known if share.recent_return is not None]
    weight = sum(runs for _, runs in heard)
    return VariantProgress(
        done_steps=sum(share.done_steps for share in known),
        total_steps=sum(share.total_steps for share in known) if all(share.total_steps for share in known) else 0,
        runs_done=sum(share.runs_done for share in known),
        runs_total=sum(share.runs_total for share in known),
        recent_return=sum(value * runs for value, runs in heard) / weight if weight else None,
        lanes_running=sum(share.lanes_running for share in known),
        runs_share=sum(share.runs_share for share in known),
    )


def at_least(total: VariantProgress, planned: VariantProgress) -> VariantProgress:
    """The sum of what was heard, out of no less than what was planned; unknown where the plan does not know."""
    steps = max(total.total_steps, planned.total_steps) if planned.total_steps else 0
    return replace(total, runs_total=max(total.runs_total, planned.runs_total), total_steps=steps)


def is_done(total: VariantProgress) -> bool:
    return total.runs_done >= total.runs_total


def fraction(total: VariantProgress) -> float:
    if is_done(total):
        return 1.0
    # Below 1 until the last run has ended, whatever the rounding says.
    return min(max(runs_done(total) / total.runs_total, 0.0), 0.99)


def runs_done(total: VariantProgress) -> float:
    """Runs' worth of the budgets that is done, by steps where their number is known."""
    if total.total_steps:
        return total.done_steps / total.total_steps * total.runs_total
    return max(float(total.runs_done), total.runs_share)


def seconds_left(total: VariantProgress, speed: float) -> str:
    """The time left as 0:45 or 3:05:09; an empty text where nobody can tell."""
    return "" if not total.total_steps or speed <= 0 else clock((total.total_steps - total.done_steps) / speed)


def clock(seconds: float) -> str:
    """Seconds as 0:45 or 3:05:09."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def count(value: float) -> str:
    """A whole number with its thousands apart: 12 900, and three digits are enough for a speed."""
    if value >= 1000:
        digits = len(str(int(value))) - 3
        value = round(value, -digits)
    return f"{value:,.0f}".replace(",", " ")
