"""What the experiment's sequential plan decided: the only tests of it whose level holds over all its looks."""

from __future__ import annotations

from rlbench import text
from rlbench.deciding.plan_state import PlanState, Watched, described, sentence
from rlbench.reports.comparisons import INCONCLUSIVE, UNDECIDED
from rlbench.reports.document import Block, Content, Paragraph, Section, badge, line, note, table
from rlbench.reports.ledger import Ledger, Shown
from rlbench.reports.sections.sentences import TONES

_LOOK = {
    "Seeds": Shown("n", "count"),
    "Difference": Shown(how="signed"),
    "Needed": Shown("boundary"),
    "p of this look alone": Shown("p_value", "p"),
    "Level used up to here": Shown("level_spent", "p"),
}


def sequential_section(state: PlanState, ledger: Ledger) -> Section:
    """The plan's rules, each comparison's decision, and what was seen at every look."""
    metric = str(state.rules["metric"])
    blocks: list[Block] = [_decision(one, metric) for one in state.comparisons]
    blocks.append(_looks(state, ledger))
    blocks.append(
        note(
            "A comparison is decided where the difference reaches the boundary of its look. Tests and intervals further down are of"
            " one look at all runs and do not know that runs were added until this plan was content: for its comparisons they are"
            " too optimistic, and the verdicts below repeat what the plan decided."
        )
    )
    rules = described(state)
    blocks.append(note(" ".join(f"{rule.strip()}." for rule in rules if " against " not in rule).capitalize()))
    return Section("sequential", "What the sequential plan decided", tuple(blocks))


def word_of(one: Watched) -> str:
    """The decision as a verdict's word, or that it is open."""
    return one.plan.decision


def _decision(one: Watched, metric: str) -> Block:
    word = word_of(one)
    if not one.plan.history:
        told = f"{one.first} against {one.second} on {one.env}: no look yet; the first is at {one.plan.next_look} seeds"
    else:
        told = sentence(one, metric)
    return Paragraph(line([badge(word, TONES[word]), f" {told}."]), "verdict")


def _looks(state: PlanState, ledger: Ledger) -> Block:
    rows: dict[str, list[list[Content]]] = {}
    for one in state.comparisons:
        own = rows.setdefault(f"{one.first} − {one.second}, {one.env}", [])
        for number, (at, spent) in enumerate(zip(one.plan.looks, one.plan.spent, strict=True), start=1):
            taken = one.plan.history[number - 1] if number <= len(one.plan.history) else None
            key = ledger.add(
                f"sequential/{one.env}/{one.first} against {one.second}/look {number}",
                n=at,
                level=one.plan.level,
                level_spent=spent,
                is_taken=taken is not None,
                estimate=taken.estimate if taken else None,
                boundary=taken.boundary if taken else None,
                p_value=taken.p_value if taken else None,
                is_crossed=taken.is_crossed if taken else None,
                decision=word_of(one),
                method=f"group-sequential permutation test, {one.plan.spending} spending",
                seed=one.plan.seed,
            )
            if taken is None:
                said: Content = text.NOTHING if word_of(one) != UNDECIDED else "to come"
            else:
                said = badge("decided", "green") if taken.is_crossed else "goes on"
                if not taken.is_crossed and word_of(one) == INCONCLUSIVE and number == len(one.plan.looks):
                    said = INCONCLUSIVE
            own.append([str(number), *ledger.cells(key, _LOOK.values()), said])
    return table("Looks of the plan", ["Look", *_LOOK, "Outcome"], rows, name="sequential", texts=("Outcome",))
