"""The `sequential` plan of an experiment file: when to look, at what, and what level all looks share.

In: the mapping of the file, and the pairs that it declares. Out: a `SequentialSpec`, checked, or one `ConfigError`. Knows
nothing of results: `rlbench.deciding` follows the plan.
"""

import dataclasses
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rlbench.config.arguments import whole_number
from rlbench.config.seeds import LARGEST_COUNT
from rlbench.errors import ConfigError, check_choice, did_you_mean
from rlbench.metrics import METRICS

KEYS = ("looks", "comparisons", "alpha", "spending", "paired", "metric")
SPENDING = ("obrien_fleming", "pocock", "linear")

Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class SequentialSpec:
    """A group-sequential plan: `pairs` of cell labels, first against second, on every environment of the experiment.

    looks: seeds a cell at each look, ascending; the last is the maximum. alpha: of all comparisons and looks together.
    paired: whether the runs of one seed are compared with each other. metric: one number a run.
    """

    pairs: tuple[Pair, ...]
    looks: tuple[int, ...]
    alpha: float = 0.05
    spending: str = "obrien_fleming"
    paired: bool = True
    metric: str = "final_return"

    def as_json(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            **dataclasses.asdict(self),
            "pairs": [list(pair) for pair in self.pairs],
            "looks": list(self.looks),
        }


def read_sequential(data: Any, declared: Sequence[Pair]) -> SequentialSpec:
    """The plan that a file's texts say; without `comparisons` it is of all `declared` pairs. Raises ConfigError."""
    if not isinstance(data, dict):
        raise ConfigError(f"sequential is a mapping of {', '.join(KEYS)}")
    for key in data:
        if key not in KEYS:
            raise ConfigError(
                f"unknown key 'sequential.{key}'{did_you_mean(str(key), KEYS)} (one of: {', '.join(KEYS)})"
            )
    pairs = _pairs(data["comparisons"]) if "comparisons" in data else tuple(dict.fromkeys(declared))
    if not pairs:
        raise ConfigError("sequential has nothing to decide: give it comparisons: [[cell, other cell], ...]")
    spec = SequentialSpec(
        pairs,
        _looks(data),
        _alpha(data),
        check_choice("sequential.spending", _text(data, "spending", "obrien_fleming"), SPENDING),
        check_choice("sequential.paired", _text(data, "paired", "true"), ("true", "false")) == "true",
        check_choice("sequential.metric", _text(data, "metric", "final_return"), METRICS),
    )
    smallest, share = smallest_p(spec.looks[-1], spec.paired), spec.alpha / len(pairs)
    if smallest > share:
        kind = "paired" if spec.paired else "unpaired"
        raise ConfigError(
            f"sequential could never decide: {spec.looks[-1]} {kind} seeds have no p-value below {smallest:.3g}, and"
            f" alpha {spec.alpha:g} shared by {len(pairs)} comparisons leaves {share:.3g} to each"
        )
    return spec


def check_pairs(spec: SequentialSpec, labels: Collection[str]) -> None:
    """Raise ConfigError for a pair with a cell that the file does not have."""
    for label in (label for pair in spec.pairs for label in pair):
        if label not in labels:
            known = list(dict.fromkeys(labels))
            hint = did_you_mean(label, known)
            raise ConfigError(f"sequential.comparisons: unknown cell '{label}'{hint} (one of: {', '.join(known)})")


def smallest_p(seeds: int, paired: bool) -> float:
    """The smallest two-sided p-value of a permutation test with so many seeds on each side."""
    return 2.0 ** (1 - seeds) if paired else 2.0 / math.comb(2 * seeds, seeds)


def _pairs(data: Any) -> tuple[Pair, ...]:
    form = "sequential.comparisons is a list of pairs of different cells, [[cell, other cell], ...]"
    if not isinstance(data, list) or not all(_is_pair(pair) for pair in data):
        raise ConfigError(form)
    pairs = tuple((first, second) for first, second in data)
    if len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise ConfigError("sequential.comparisons has one pair twice")
    return pairs


def _is_pair(pair: Any) -> bool:
    texts = isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) and one for one in pair)
    return texts and pair[0] != pair[1]


def _looks(data: Mapping[str, Any]) -> tuple[int, ...]:
    texts = data.get("looks")
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) and one.isdecimal() for one in texts):
        raise ConfigError("sequential.looks is a list of numbers of seeds, [10, 20, 40]; the last one is the maximum")
    looks = tuple(whole_number("a look", text, 0, LARGEST_COUNT) for text in texts)
    if looks[0] < 2 or any(later <= earlier for earlier, later in itertools.pairwise(looks)):
        raise ConfigError(f"sequential.looks must ascend, from 2 seeds at least; got [{', '.join(texts)}]")
    return looks


def _alpha(data: Mapping[str, Any]) -> float:
    text = _text(data, "alpha", "0.05")
    try:
        alpha = float(text)
    except ValueError:
        alpha = math.nan
    if not 0.0 < alpha <= 0.5:
        raise ConfigError(f"sequential.alpha must be a number above 0 and at most 0.5; got {text}")
    return alpha


def _text(data: Mapping[str, Any], key: str, default: str) -> str:
    value = data.get(key, default)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"sequential.{key} is one value")
    return value
