"""Specifications of many runs: the same values as parsing and writing each of them, with the work of one a cell."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlbench.store.labels import distinct_labels
from rlbench.store.schema import canonical_json
from rlbench.store.specs import SpecParser, configurations

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["seed", "env", '"seed":1', "a"]) | st.text(), inner)
    ),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=5), st.booleans())
def test_whatever_a_text_is_it_is_parsed_as_json_parses_it(values: list[Any], is_spaced: bool) -> None:
    parser = SpecParser()
    for value in [*values, *values]:
        text = json.dumps(value) if is_spaced else canonical_json(value)
        assert canonical_json(parser.parse(text)) == canonical_json(value)


def test_runs_of_a_cell_are_parsed_once_and_share_all_but_their_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = {f"{seed}": {"env": {"id": "E"}, "seed": seed, "variant": {"lr": 0.1}} for seed in (*range(50), 10**9)}
    texts = [canonical_json(spec) for spec in specs.values()]
    parsed, loads = [], json.loads
    monkeypatch.setattr(json, "loads", lambda text: parsed.append(text) or loads(text))
    parser = SpecParser()
    found = {str(spec["seed"]): spec for spec in map(parser.parse, texts)}
    assert (found, len(parsed)) == (specs, 1)
    assert len({id(spec["variant"]) for spec in found.values()}) == 1


def test_a_cell_is_written_once_and_cells_that_are_equal_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {"env": {"id": "E"}, "variant": {"lr": 0.1}}
    specs: dict[str, dict[str, Any]] = {str(seed): {**shared, "seed": seed} for seed in range(50)}
    specs["equal"] = {"variant": {"lr": 0.1}, "seed": 7, "env": {"id": "E"}}
    specs["other"] = {**shared, "variant": {"lr": 1}, "seed": 8}
    specs["another"] = {**shared, "variant": {"lr": 1.0}, "seed": 8}
    written = []
    monkeypatch.setattr(
        "rlbench.store.specs.canonical_json", lambda value: written.append(value) or canonical_json(value)
    )
    found = configurations(specs)
    assert len(written) == 4
    assert found == {
        run_id: canonical_json({key: value for key, value in spec.items() if key != "seed"})
        for run_id, spec in specs.items()
    }
    assert set(distinct_labels(dict.fromkeys(specs, "a"), specs).values()) == {
        "a (variant.lr=0.1)", "a (variant.lr=1)", "a (variant.lr=1.0)",
    }  # fmt: skip
