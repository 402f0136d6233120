"""What an experiment file declares of an algorithm's parts, and which claims of others it looks at.

    parts:
      base: soft_huber                          # the cell to which each part is added alone
      whole: rainbow                            # the cell that has all of them
      added: {double: double, dueling: dueling}                                # part: the base with it
      left_out: {double: rainbow_no_double, dueling: rainbow_no_dueling}       # part: the whole without it
    claims:
      - {claim: Double DQN beats DQN, source: van Hasselt et al. (2016), pair: [double, soft_huber]}

In: the two mappings as the file has them. Out: `DeclaredParts`, whose comparisons are two families, and `Claim`s. Composes nothing.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rlbench.errors import ConfigError

Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class DeclaredParts:
    """The base, the whole, and by part the cells that differ from them by it; either mapping may be empty, with its cell."""

    base: str
    whole: str
    added: Mapping[str, str]
    left_out: Mapping[str, str]

    @property
    def families(self) -> dict[str, tuple[Pair, ...]]:
        """The comparisons by family; in each pair the first has the part, so that a difference above 0 says that the part helps."""
        found = {}
        if self.added:
            found[f"parts added to {self.base}"] = tuple((cell, self.base) for cell in self.added.values())
        if self.left_out:
            found[f"parts of {self.whole}"] = tuple((self.whole, cell) for cell in self.left_out.values())
        return found

    def among(self, labels: set[str]) -> "DeclaredParts":
        """Those of which the cells are there."""
        added = {part: cell for part, cell in self.added.items() if {cell, self.base} <= labels}
        left_out = {part: cell for part, cell in self.left_out.items() if {cell, self.whole} <= labels}
        return DeclaredParts(self.base, self.whole, added, left_out)

    def as_json(self) -> dict[str, Any]:
        """As a store keeps it: lists, because a store sorts the keys of mappings."""
        return {
            "base": self.base,
            "whole": self.whole,
            "added": [[part, cell] for part, cell in self.added.items()],
            "left_out": [[part, cell] for part, cell in self.left_out.items()],
        }


@dataclasses.dataclass(frozen=True)
class Claim:
    """What somebody claimed: in words, where, and the declared comparison by which it is looked at, the claimed winner first."""

    claim: str
    source: str
    pair: Pair


def is_pair(pair: Any) -> bool:
    """Whether these are two different cells."""
    return (
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair) and pair[0] != pair[1]
    )


def read_parts(data: Any) -> DeclaredParts:
    """What stands under `parts`. Raises ConfigError for anything else."""
    form = "parts is a mapping {base: cell, added: {part: cell}, whole: cell, left_out: {part: cell}}, of which either half may be missing"
    if not isinstance(data, dict) or not set(data) <= {"base", "whole", "added", "left_out"}:
        raise ConfigError(form)
    found = DeclaredParts(data.get("base", ""), data.get("whole", ""), data.get("added", {}), data.get("left_out", {}))
    for cell, given in ((found.base, found.added), (found.whole, found.left_out)):
        if not isinstance(cell, str) or not isinstance(given, dict) or bool(cell) != bool(given):
            raise ConfigError(form)
        for part, other in given.items():
            if not isinstance(other, str) or other == cell:
                raise ConfigError(f"{form}; '{part}' needs a cell other than '{cell}'")
        twice = next((one for one in given.values() if list(given.values()).count(one) > 1), None)
        if twice is not None:
            raise ConfigError(f"parts: '{twice}' stands for two parts")
    if not found.families:
        raise ConfigError(form)
    return found


def read_claims(data: Any, declared: Sequence[Pair]) -> tuple[Claim, ...]:
    """What stands under `claims`; each is looked at by a comparison that is declared. Raises ConfigError for anything else."""
    form = "claims is a list of {claim: words, source: words, pair: [better cell, other cell]}"
    if not isinstance(data, list):
        raise ConfigError(form)
    found, compared = [], {frozenset(pair) for pair in declared}
    for one in data:
        if not isinstance(one, dict) or set(one) != {"claim", "source", "pair"}:
            raise ConfigError(form)
        pair = one["pair"]
        if not all(isinstance(one[key], str) for key in ("claim", "source")) or not is_pair(pair):
            raise ConfigError(form)
        if frozenset(pair) not in compared:
            raise ConfigError(
                f"claims: '{one['claim']}' is about [{', '.join(pair)}], which no comparison declares: it would not be corrected"
            )
        found.append(Claim(one["claim"], one["source"], (pair[0], pair[1])))
    return tuple(found)
