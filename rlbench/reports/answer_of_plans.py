"""The answer of what was decided elsewhere: by a sequential plan, and by a study's confirmation on fresh seeds.

In: a plan's comparisons, a study's record. Out: `Answer`s. Never: computes a statistic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rlbench import text
from rlbench.deciding.plan_state import Watched, sentence
from rlbench.reports.comparisons import INCONCLUSIVE
from rlbench.reports.document import Answer, line


def plan_answers(comparisons: Sequence[Watched], metric: str) -> list[Answer]:
    """What a sequential plan has decided, in its own words."""
    found = []
    for one in comparisons:
        if not one.plan.history:
            told = (
                f"{one.first} against {one.second} on {one.env}: not looked at yet; first at {one.plan.next_look} seeds"
            )
            found.append(Answer(line(f"{told}.")))
        else:
            found.append(Answer(line(f"{sentence(one, metric)}."), one.plan.history[-1].is_crossed, is_whole=True))
    return found


def study_answers(record: Mapping[str, Any]) -> list[Answer]:
    """Whether tuning helped, on seeds that it never saw; and which variant is better where all were tuned alike."""
    found = []
    for study in record["studies"]:
        confirmed = study["confirmation"]
        if confirmed is None:
            done = [one["value"] for one in study["trials"] if one["state"] == "complete"]
            best = (
                f"the best of {text.plural(len(done), 'trial')} scored {text.number(max(done))}"
                if done
                else "no trial was completed"
            )
            told = f"{study['study']}: not confirmed; {best} on tuning seeds, which choose and cannot report."
            found.append(Answer(line(told)))
            continue
        candidates = [one for one in confirmed["candidates"] if one["label"] == confirmed["winner"]]
        compared = candidates[0]["against_default"] if candidates else None
        if not compared:
            found.append(Answer(line(f"{study['study']}: no tuned configuration finished all its fresh seeds.")))
            continue
        if None in (compared["difference"], compared["low"], compared["high"]):
            told = f"{study['study']}: the tuned configuration and the untuned {study['variant']} have no fresh seeds to compare."
            found.append(Answer(line(told)))
            continue
        helped = f"Tuning of {study['variant']} {'helped' if compared['difference'] > 0 else 'did not help'}: "
        open_ = f"Whether tuning of {study['variant']} helped is open: "
        head = open_ if compared["verdict"] == INCONCLUSIVE else helped
        untuned = f"the untuned {study['variant']}"
        found.append(_compared(compared, head, candidates[0]["label"], untuned, _metric(study)))
    found += [_compared(one, "Tuned alike: ", one["first"], one["second"]) for one in record["between_variants"]]
    return found


def pairs_of_study(record: Mapping[str, Any]) -> set[frozenset[str]]:
    """The pairs of labels whose final returns these answers compare."""
    confirmed = [study for study in record["studies"] if study["confirmation"] and _metric(study) == "final_return"]
    return {frozenset((study["variant"], study["confirmation"]["winner"])) for study in confirmed}


def _metric(study: Mapping[str, Any]) -> str:
    return str(study["definition"]["objective"]["metric"])


def _compared(one: Mapping[str, Any], head: str, first: str, second: str, metric: str = "final_return") -> Answer:
    low, high = one["low"], one["high"]
    estimate = one["difference"]
    if estimate < 0:
        first, second, estimate, low, high = second, first, -estimate, -high, -low
    place = text.place_of(low, high, estimate)
    seen, p, n = text.span(low, high, place), text.p_value(one["adjusted_p"]), text.plural(one["n"], "fresh seed")
    of = "" if metric == "final_return" else f" of {metric}"
    if one["verdict"] != INCONCLUSIVE:
        told = f"{head}{first} beats {second} by {text.number(estimate, place)}{of} {seen} on {n} (p {p})."
        return Answer(line(told), is_decided=True, is_whole=True)
    least = one["smallest_effect"]
    shows = (
        f"could show {text.number(least)} or more" if least is not None and math.isfinite(least) else "cannot decide it"
    )
    told = f"{head}{first} against {second} is not decided ({text.signed(estimate, place)}{of} {seen}, p {p}); {n} {shows}."
    return Answer(line(told))
