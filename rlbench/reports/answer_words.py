"""One question of the answer in words: what holds everywhere first, in the direction that was observed.

In: `Seen` differences, one an environment. Out: an `Answer`, whose numbers it records. Never: decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rlbench import text
from rlbench.reports.comparisons import EQUIVALENT, OPPOSITE, POWER, SUPPORTED
from rlbench.reports.document import Answer, Part, line
from rlbench.reports.ledger import Ledger

MOST_ENVIRONMENTS = 4
AVERAGED = "on average over"
DECIDED = (SUPPORTED, OPPOSITE, EQUIVALENT)
LEGEND = (
    "Differences of mean final returns, averages over environments of normalised ones [95 % interval of each alone]; p is corrected for"
    f" its whole family, and decides. A difference as large as seeds could show is found {POWER:.0%} of the time."
)


@dataclass(frozen=True)
class Seen:
    """A difference as it was observed: `better` has the higher mean, and estimate, low and high are better minus worse."""

    subject: str  # the factor that it is of; empty for a pair of variants
    better: str
    worse: str
    where: str
    word: str
    estimate: float | None  # None: not tested
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    detectable: float | None = None  # the smallest that these runs find; None where nothing they could show decides
    margin: float | None = None
    needed: int | None = None  # runs a side that find the margin, or, where nothing could be decided, that could at all
    is_paired: bool = True
    lost: str = ""
    parts: tuple[
        tuple[str, float, float, float], ...
    ] = ()  # of an average: environment, estimate, low, high, each for itself

    @property
    def is_decided(self) -> bool:
        return self.word in DECIDED


def told_in_words(seen: Sequence[Seen], ledger: Ledger) -> Answer:
    """One question: what holds everywhere first, then where it does, then where it is not known."""
    head = f"{seen[0].subject}: " if seen[0].subject else ""
    if len(seen) == 1:
        told = line([head, *_told(seen[0], ledger), ".", *_each(seen[0], ledger)])
        return Answer(told, seen[0].is_decided, is_whole=True, legend=_legend(seen))
    begun = str if head else str.capitalize
    shown = sorted(seen, key=lambda one: not one.is_decided)
    winners = {one.better for one in seen if one.word in (SUPPORTED, OPPOSITE)}
    decided = [one for one in seen if one.is_decided]
    if len(winners) == 1 and len(decided) == len(seen) and all(one.word != EQUIVALENT for one in seen):
        everywhere = "both" if len(seen) == 2 else f"all {len(seen)}"
        # The direction of an interaction is a sentence of its own, which each environment has.
        opening = f"{seen[0].better} beats {seen[0].worse} on {everywhere} environments: " if seen[0].worse else ""
    elif len(winners) > 1:
        opening = begun("it depends on the environment: ")
    else:
        opening = begun(f"decided on {len(decided) or 'none'} of {len(seen)} environments: ")
    is_said = opening.startswith(f"{seen[0].better} beats")
    parts: list[str | Part] = [head, opening]
    for place, one in enumerate(shown[:MOST_ENVIRONMENTS]):
        parts += ["; "] if place else []
        parts += _told(one, ledger, is_said=is_said)
    if len(shown) > MOST_ENVIRONMENTS:
        parts.append(f"; and {len(shown) - MOST_ENVIRONMENTS} more under Verdicts")
    return Answer(line([*parts, "."]), bool(decided), is_whole=len(decided) == len(seen), legend=_legend(seen))


def _legend(seen: Sequence[Seen]) -> str:
    """How numbers of these are to be read; nothing where there are none."""
    return LEGEND if any(one.estimate is not None for one in seen) else ""


def _told(seen: Seen, ledger: Ledger, *, is_said: bool = False) -> list[str | Part]:
    """One difference in words, without its full stop; `is_said`: who beats whom stands before it."""
    where = seen.where if seen.where.startswith(AVERAGED) else f"on {seen.where}"
    pair = f"{seen.better} against {seen.worse}" if seen.worse else "whether one depends on the other"
    lost = f" ({seen.lost})" if seen.lost else ""
    if seen.estimate is None:
        return [f"{pair} is not tested {where}: one side has {text.plural(seen.n, 'done run')}, and it takes 2{lost}"]
    key = _record(seen, ledger)
    number = [ledger.show(key), " ", *ledger.span(key)]
    p: list[str | Part] = [" (p ", ledger.show(key, "p", "p"), ")"]
    if seen.word == EQUIVALENT:
        margin = ledger.show(key, "smallest_effect")
        what = (
            f"{seen.better} and {seen.worse} are as good as each other"
            if seen.worse
            else "one does not depend on the other"
        )
        return [f"{what} {where}, to within ±", margin, ": ", *_signed(key, ledger), *p, lost]
    if seen.word in (SUPPORTED, OPPOSITE):
        who = "" if is_said else f"{seen.better} beats {seen.worse} " if seen.worse else f"{seen.better}, "
        said = [f"{who}by ", *number]
        inside = seen.margin is not None and seen.high is not None and seen.high < seen.margin
        less: list[str | Part] = (
            [", less than the ", ledger.show(key, "smallest_effect"), " that matter"] if inside else []
        )
        return [*said, f" {where}", *p, *less, lost]
    p = [", p ", ledger.show(key, "p", "p")] if seen.p is not None else []
    return [f"{pair} is not decided {where} (", *_signed(key, ledger), *p, ")", lost, *_would_show(seen, key, ledger)]


def _each(seen: Seen, ledger: Ledger) -> list[str | Part]:
    """What an average is made of, environment by environment."""
    if not seen.parts or len(seen.parts) > MOST_ENVIRONMENTS:
        return []
    told: list[str | Part] = [" On each: "]
    for place, (env, estimate, low, high) in enumerate(seen.parts):
        own = replace(seen, where=env, estimate=estimate, low=low, high=high, p=None, detectable=None, needed=None)
        told += [", "] if place else []
        told += [*_signed(_record(own, ledger), ledger), f" on {env}"]
    return [*told, "."]


def _signed(key: str, ledger: Ledger) -> list[str | Part]:
    return [ledger.show(key, how="signed"), " ", *ledger.span(key)]


def _would_show(seen: Seen, key: str, ledger: Ledger) -> list[str | Part]:
    """What it would take to decide."""
    seeds = "seeds" if seen.is_paired else "runs a side"
    now = ledger.show(key, "n", "count")
    if seen.detectable is None or not math.isfinite(seen.detectable):
        more: list[str | Part] = [", it takes ", ledger.show(key, "seeds_needed", "count")] if seen.needed else []
        return ["; ", now, f" {seeds} cannot decide it, whatever they show", *more]
    told: list[str | Part] = ["; ", now, f" {seeds} could show ", ledger.show(key, "detectable"), " or more"]
    if seen.needed is not None and seen.needed > seen.n:
        told += [", ", ledger.show(key, "seeds_needed", "count"), " would show ", ledger.show(key, "smallest_effect")]
    return told


def _record(seen: Seen, ledger: Ledger) -> str:
    """The numbers of a sentence, turned as it says them; the comparison or effect that they are of has the others."""
    key = f"answer/{seen.subject or f'{seen.better} against {seen.worse}'}/{seen.where}"
    while key in ledger.records:  # one pair in two families
        key += "'"
    return ledger.add(
        key, better=seen.better, worse=seen.worse, estimate=seen.estimate, low=seen.low, high=seen.high, level=0.95, p=seen.p,
        n=seen.n, detectable=seen.detectable, smallest_effect=seen.margin, seeds_needed=seen.needed, power=POWER, verdict=seen.word,
    )  # fmt: skip
