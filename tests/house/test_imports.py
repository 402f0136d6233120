"""Imports point one way and in no circle, a library that is optional or slow has one home, and a class's name one meaning."""

from __future__ import annotations

import ast
from collections import Counter

import pytest
from import_graph import cycles, graph, imported, modules, unit

# What stands later may import what stands earlier, and never the other way round.
ORDER = [
    *(
        "errors",
        "untold",
        "deferred",
        "interrupts",
        "plain_text",
        "places",
        "text",
        "metrics",
        "exact",
        "rows",
        "stats",
        "envs",
        "lanes",
    ),
    *("store", "tracking", "config", "runner", "deciding", "reports", "evidence", "playing", "tuning", "published"),
    *(
        "callable_modules",
        "shown",
        "results",
        "list",
        "show",
        "delete",
        "verify",
        "play",
        "sync",
        "inline",
        "report",
        "training",
        "dry_run",
        "from_python",
        "run",
        "tune",
        "",
        "__main__",
        "completion",
    ),
]
# The same within the engine.
LANES_ORDER = ["tensors", "streams", "choices", "steps", "fast", "training", "exactness"]
# Beyond the order: who must know nothing of whom.
STRANGERS = {
    "stats": {"envs", "lanes"},
    "store": {"envs", "lanes"},
    "tracking": {"envs", "lanes"},
    "reports": {"lanes", "runner", "tracking"},
}
# Modules that know of each other, if only for their annotations. This list can only shrink.
KNOWN_CIRCLES = [
    ["rlbench.lanes.choices.bases", "rlbench.lanes.choices.observations", "rlbench.lanes.choices.validation"],
]
# Who imports a library. A list of more than one can only shrink.
HOMES = {
    "wandb": {"tracking.wandb.tracker"},
    "wandb_workspaces": {"tracking.wandb.report"},
    "hydra": {"config.composing", "config.words", "evidence.columns"},
    "omegaconf": {"config.composing"},
    "optuna": {"tuning.optuna_names"},
    "ray": {"runner.ray"},
    "submitit": {"runner.slurm"},
    "fsspec": {"store.object_store"},
}


def test_every_part_of_the_package_has_its_place_in_the_order() -> None:
    assert {unit(name) for name in modules()} == set(ORDER)


@pytest.mark.parametrize("part", ORDER)
def test_imports_point_one_way(part: str) -> None:
    later = set(ORDER[ORDER.index(part) + 1 :]) | STRANGERS.get(part, set())
    wrong = [
        f"{name} imports {other}"
        for name, others in graph(typing=True).items()
        for other in sorted(others)
        if unit(name) == part and unit(other) in later
    ]
    assert wrong == []


@pytest.mark.parametrize("part", LANES_ORDER)
def test_imports_of_the_engine_point_one_way(part: str) -> None:
    place = {one: number for number, one in enumerate(LANES_ORDER)}
    within = {
        name.removeprefix("rlbench.lanes."): others
        for name, others in graph(typing=True).items()
        if unit(name) == "lanes"
    }
    assert {name.partition(".")[0] for name in within} == {*LANES_ORDER, "rlbench"}
    wrong = [
        f"{name} imports {other}"
        for name, others in within.items()
        for other in sorted(others)
        if name.partition(".")[0] == part
        and other.startswith("rlbench.lanes.")
        and place[other.split(".")[2]] > place[part]
    ]
    assert wrong == []


def test_a_name_of_a_class_stands_for_one_thing() -> None:
    names = Counter(node.name for tree in modules().values() for node in tree.body if isinstance(node, ast.ClassDef))
    assert [name for name, times in names.items() if times > 1] == []


def test_the_engine_knows_nothing_of_files() -> None:
    engine = {name: tree for name, tree in modules().items() if unit(name) == "lanes"}
    opening = [
        name
        for name, tree in engine.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
    ]
    assert len(engine) > 50
    assert opening == []
    assert [name for name, tree in engine.items() if imported(tree) & {"pathlib", "shutil", "tempfile", "io"}] == []


def test_no_module_leads_back_to_itself() -> None:
    assert cycles(graph()) == []
    assert [circle for circle in cycles(graph(typing=True)) if circle not in KNOWN_CIRCLES] == []


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    importers = {
        name.removeprefix("rlbench.")
        for name, tree in modules().items()
        if any(one.partition(".")[0] == library for one in imported(tree, typing=True))
    }
    assert importers <= HOMES[library]


def test_a_circle_is_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]
    assert cycles({"a": {"b"}, "b": set()}) == []


def test_imports_of_every_form_are_seen() -> None:
    source = "import a.b\nif TYPE_CHECKING:\n    import t\ndef f():\n    from c import d\n"
    tree = ast.parse(source)
    assert imported(tree) == {"a.b", "c", "c.d"}
    assert imported(tree, typing=True) == {"a.b", "c", "c.d", "t"}
