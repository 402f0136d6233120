"""The specifications of very many runs: those of a cell differ in their seeds alone, and share all other values.

In: JSON texts, or specifications. Out: what `json.loads` and `canonical_json` give, made once a cell. What is parsed here is
shared, and never to be changed. Knows nothing of what a specification means, but for its seed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rlbench.store.schema import canonical_json

_SEED = '"seed":'  # within a text of JSON its quotes would stand behind backslashes: it is a key
_NUMBER = re.compile(r"(?:0|[1-9]\d{0,18})(?=[,}])")


class SpecParser:
    """Texts to specifications."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], Any] = {}

    def parse(self, text: str) -> Any:
        """The value of a JSON text. Raises ValueError where it is none."""
        head, _, rest = text.partition(_SEED)
        number = _NUMBER.match(rest)
        if number is None or _SEED in rest:
            return json.loads(text)
        cell = (head, rest[number.end() :])
        if cell not in self._cells:
            self._cells[cell] = json.loads(f"{head}{_SEED}0{cell[1]}")
        found = self._cells[cell]
        if not isinstance(found, dict) or "seed" not in found:  # it is the seed of something within
            return json.loads(text)
        return {**found, "seed": int(number[0])}


def configurations(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Run -> the canonical JSON of its specification without its seed."""
    texts: dict[tuple[tuple[str, int], ...], str] = {}
    found = {}
    for run_id, spec in specs.items():
        # By which objects they are, and not by what they hold: that would take as long as the text.
        values = tuple((name, id(value)) for name, value in spec.items() if name != "seed")
        if values not in texts:
            texts[values] = canonical_json({name: value for name, value in spec.items() if name != "seed"})
        found[run_id] = texts[values]
    return found
