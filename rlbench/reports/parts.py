"""What each part of an algorithm does: added to the base alone, and left out of the whole; what it costs; what of it others claimed.

In: a `Summary` that declares parts, and its analysed families. Out: plain values, a difference above 0 saying that the part helps.
Never: tests anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlbench.reports.comparisons import EQUIVALENT, OPPOSITE, SUPPORTED, Family, Pairwise
from rlbench.reports.summary import Summary

HOLDS, REVERSED, SAME, UNKNOWN = "holds here", "opposite here", "no difference here", "cannot be told"


@dataclass(frozen=True)
class PartEffect:
    """One part on one environment."""

    part: str
    added: Pairwise | None  # the base with it against the base
    left_out: Pairwise | None  # the whole against the whole without it


@dataclass(frozen=True)
class Parts:
    """The parts of an experiment: `effects` by environment, in the order in which they are declared."""

    base: str
    whole: str
    effects: Mapping[str, tuple[PartEffect, ...]]


@dataclass(frozen=True)
class CheckedClaim:
    """A claim of others, with the comparison that speaks to it: `holds` is one of the four words, turned as the claim has it."""

    claim: str
    source: str
    member: Pairwise
    is_turned: bool  # the comparison has the claimed winner second

    @property
    def word(self) -> str:
        """Whether the claim holds on the comparison's environment."""
        for_it, against = (OPPOSITE, SUPPORTED) if self.is_turned else (SUPPORTED, OPPOSITE)
        return {for_it: HOLDS, against: REVERSED, EQUIVALENT: SAME}.get(self.member.word, UNKNOWN)


def parts_of(summary: Summary, families: Sequence[Family]) -> Parts | None:
    """The declared parts with their comparisons; None where none are declared."""
    declared = summary.definition.get("parts")
    if not declared:
        return None
    base, whole = str(declared["base"]), str(declared["whole"])
    added, left_out = (dict(map(tuple, declared[key])) for key in ("added", "left_out"))
    effects = {}
    for env in summary.envs:
        members = _by_pair(families, env)
        effects[env] = tuple(
            PartEffect(part, members.get((added.get(part, ""), base)), members.get((whole, left_out.get(part, ""))))
            for part in dict.fromkeys([*added, *left_out])
        )
    return Parts(base, whole, effects)


def claims_of(summary: Summary, families: Sequence[Family]) -> list[CheckedClaim]:
    """The declared claims, each on every environment."""
    found = []
    for given in summary.definition.get("claims") or []:
        better, worse = given["pair"]
        for env in summary.envs:
            members = _by_pair(families, env)
            member, turned = members.get((better, worse)), members.get((worse, better))
            one = member or turned
            if one is not None:
                found.append(CheckedClaim(given["claim"], given["source"], one, member is None))
    return found


def is_of_parts(definition: Mapping[str, Any], member: Pairwise) -> bool:
    """Whether a comparison says what a part does, as the parts' own section shows it."""
    declared = definition.get("parts") or {"added": [], "left_out": []}
    added = {(cell, declared["base"]) for _, cell in declared["added"]}
    left_out = {(declared["whole"], cell) for _, cell in declared["left_out"]}
    return (member.x, member.y) in added | left_out


def updates_a_run(summary: Summary) -> dict[tuple[str, str], float]:
    """Mean updates of one run by (variant, environment)."""
    done = summary.runs[summary.runs["status"] == "done"]
    means = done.groupby(["variant", "env"], sort=False)["updates"].mean()
    return {(str(variant), str(env)): float(value) for (variant, env), value in means.items()}


def _by_pair(families: Sequence[Family], env: str) -> dict[tuple[str, str], Pairwise]:
    found: dict[tuple[str, str], Pairwise] = {}
    for family in families:
        for member in family.members:
            if family.name and member.env == env:
                found.setdefault((member.x, member.y), member)
    return found
