"""A sequential plan under way: its fixed rules and what was seen of each comparison, as a value and in sentences.

In and out: plain values, as they lie in the store. Never: reads a store, or changes what was seen.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlbench.config.sequential import smallest_p
from rlbench.errors import StoreError
from rlbench.metrics import METRICS
from rlbench.stats import SequentialPlan
from rlbench.text import number, place_of, signed

Cell = tuple[str, str]  # label of the variant, environment


@dataclass(frozen=True)
class Watched:
    """One comparison under the plan, on one environment."""

    first: str
    second: str
    env: str
    plan: SequentialPlan

    @property
    def num_seeds(self) -> int:
        """Seeds that both cells need: for the next look, or as many as the last one had."""
        return self.plan.next_look or self.plan.history[-1].n


@dataclass(frozen=True)
class PlanState:
    """A plan under way: its rules, which never change, and what was seen of each comparison."""

    rules: Mapping[str, Any]
    comparisons: tuple[Watched, ...]
    num_known_before: int  # runs that had a result when the plan was made

    @property
    def open(self) -> tuple[Watched, ...]:
        """The comparisons that need another look."""
        return tuple(one for one in self.comparisons if one.plan.next_look is not None)

    def seeds_of(self, cell: Cell) -> int:
        """How many seeds a cell has at this stage; a cell that no comparison names has those of the first look."""
        own = [one.num_seeds for one in self.comparisons if cell in ((one.first, one.env), (one.second, one.env))]
        return max(own, default=int(self.rules["looks"][0]))

    def to_dict(self) -> dict[str, Any]:
        """The state as it is stored."""
        comparisons = [
            {"first": one.first, "second": one.second, "env": one.env, "plan": one.plan.to_dict()}
            for one in self.comparisons
        ]
        state = {"rules": self.rules, "comparisons": comparisons, "num_known_before": self.num_known_before}
        return dict(json.loads(json.dumps(state)))

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "PlanState":
        """The state that `to_dict` wrote. Raises StoreError for anything else."""
        try:
            comparisons = tuple(
                Watched(one["first"], one["second"], one["env"], SequentialPlan.from_dict(one["plan"]))
                for one in state["comparisons"]
            )
            return cls(state["rules"], comparisons, int(state["num_known_before"]))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"the stored sequential plan is damaged: {error}") from error


def described(state: PlanState) -> list[str]:
    """The rules of a plan in plain sentences."""
    rules, plan = state.rules, state.comparisons[0].plan
    number, looks = len(state.comparisons), _listed([str(look) for look in rules["looks"]])
    lines = [
        f"sequential plan: looks at {looks} seeds a cell, the last being the maximum; {METRICS[rules['metric']]},"
        f" {'paired by seed' if rules['paired'] else 'unpaired'}"
    ]
    if number > 1:
        lines.append(
            f"  alpha {rules['alpha']:g} is shared by {number} comparisons, {plan.level:.3g} each, over all looks together"
        )
    else:
        lines.append(f"  alpha {rules['alpha']:g} over all looks together")
    spent = _listed([f"{share:.2g}" for share in plan.spent])
    lines.append(f"  of it may be used up to each look, by {rules['spending']} spending: {spent}")
    early = [
        look for look, share in zip(rules["looks"], plan.spent, strict=True) if smallest_p(look, plan.paired) > share
    ]
    if early:
        lines.append(
            f"  nothing can be decided at {_listed([str(look) for look in early])} seeds: no p-value is so small"
        )
    lines += [f"  {one.first} against {one.second} on {one.env}" for one in state.comparisons]
    if state.num_known_before:
        lines.append(
            f"  {state.num_known_before} of its runs had results before it began: alpha holds only if they had no part"
            " in choosing the plan"
        )
    return lines


def so_far(state: PlanState) -> list[str]:
    """What earlier commands have seen."""
    seen = [one for one in state.comparisons if one.plan.history]
    lines = [f"  {sentence(one, str(state.rules['metric']))}" for one in seen]
    return ["so far:", *lines] if seen else []


def sentence(one: Watched, metric: str) -> str:
    """What the last look at a comparison showed, to the digits that the difference give or take the boundary supports."""
    last = one.plan.history[-1]
    place = place_of(last.estimate - last.boundary, last.estimate + last.boundary)
    better, other = (one.first, one.second) if last.estimate > 0 else (one.second, one.first)
    if last.is_crossed:
        return (
            f"{better} is better than {other} on {one.env}: its mean {METRICS[metric]} over {last.n} seeds is higher by"
            f" {number(abs(last.estimate), place)}, and {number(last.boundary, place)} was enough at this look"
        )
    seen = f"{one.first} - {one.second} on {one.env}: {signed(last.estimate, place)} over {last.n} seeds"
    if one.plan.next_look is None:
        return f"{seen}; inconclusive at the maximum: no difference was shown, which does not show that there is none"
    asked = (
        f"{number(last.boundary, place)} was asked for"
        if last.boundary < float("inf")
        else "no difference was enough yet"
    )
    return f"{seen}; not decided ({asked}), goes on to {one.plan.next_look} seeds"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
