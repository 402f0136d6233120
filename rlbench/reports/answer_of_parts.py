"""The answer to what an algorithm's parts do: a sentence for each half of the question and each environment.

In: compared families. Out: `Answer`s, whose numbers they record. Never: calls a part helpful or harmful that its corrected p does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlbench.reports.comparisons import EQUIVALENT, OPPOSITE, SUPPORTED, Family, Pairwise
from rlbench.reports.document import Answer, Part, line
from rlbench.reports.ledger import Ledger
from rlbench.reports.parts import PartEffect, parts_of
from rlbench.reports.summary import Summary

LEGEND = "Differences of mean final returns [95 % intervals that hold for all parts together]; p is corrected for all of them, and decides."


def parts_answers(summary: Summary, families: Sequence[Family], ledger: Ledger) -> list[Answer]:
    """What helps and what hurts, with how much, then what makes no difference and what is not decided; none without parts."""
    parts = parts_of(summary, families)
    if parts is None:
        return []
    halves: list[tuple[str, Callable[[PartEffect], Pairwise | None]]] = [
        (f"Added to {parts.base}", lambda one: one.added),
        (f"In {parts.whole}, against itself without the part", lambda one: one.left_out),
    ]
    found = []
    for head, member_of in halves:
        for env, effects in parts.effects.items():
            asked = [(one.part, member) for one in effects if (member := member_of(one)) is not None]
            if asked:
                found.append(_answer(f"{head}, on {env}: ", asked, ledger))
    return found


def _answer(head: str, asked: Sequence[tuple[str, Pairwise]], ledger: Ledger) -> Answer:
    by_word: dict[str, list[tuple[str, Pairwise]]] = {}
    for part, member in asked:
        by_word.setdefault(member.word, []).append((part, member))
    told: list[list[str | Part]] = []
    for word, verb in ((SUPPORTED, "helps"), (OPPOSITE, "hurts")):
        ranked = sorted(by_word.pop(word, []), key=lambda one: -abs(one[1].test.estimate if one[1].test else 0.0))
        told += [[f"{part} {verb} by ", *_number(part, member, word, ledger)] for part, member in ranked]
    for word, more in ((EQUIVALENT, "as good with as without"), *((word, "not decided") for word in by_word)):
        names = [part for part, _ in by_word.pop(word, [])]
        if names:
            told.append(
                [
                    f"{' and '.join([', '.join(names[:-1])] * bool(names[1:]) + names[-1:])} {'is' if len(names) == 1 else 'are'} {more}"
                ]
            )
    parts: list[str | Part] = [head]
    for place, one in enumerate(told):
        parts += ["; "] if place else []
        parts += one
    words = {member.word for _, member in asked}
    is_whole = words <= {SUPPORTED, OPPOSITE, EQUIVALENT}
    return Answer(line([*parts, "."]), bool(words & {SUPPORTED, OPPOSITE}), is_whole, LEGEND)


def _number(part: str, member: Pairwise, word: str, ledger: Ledger) -> list[str | Part]:
    """How much, above 0 whichever way it goes."""
    assert member.test is not None
    assert member.together is not None
    sign = 1.0 if word == SUPPORTED else -1.0
    low, high = sorted((sign * member.together.low, sign * member.together.high))
    key = ledger.add(
        f"answer/{member.family}/{part}/{member.env}", estimate=sign * member.test.estimate, low=low, high=high,
        level=member.together.level, p=member.p_adjusted, n=min(member.n_x, member.n_y), verdict=word,
    )  # fmt: skip
    return [ledger.show(key), " ", *ledger.span(key), " (p ", ledger.show(key, "p", "p"), ")"]
