"""How a page can be made again: every command that made its runs, whole."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from written_runs import PlannedRun, write_store

import rlbench
from rlbench import from_python
from rlbench.reports.report import write_report
from rlbench.store import load
from rlbench.text import command_line

pytestmark = pytest.mark.usefixtures("blank_pictures")

RUNS = [PlannedRun("a", seed, {500: [1.0 + seed], 1000: [2.0 + seed]}) for seed in range(4)]


def commands_of(path: Path) -> list[str]:
    """The commands that a page prints, in order."""
    markdown = write_report(load(path), "example", path / "out").parent / "report.md"
    section = markdown.read_text().split("### Derive it again")[1]
    return re.findall(r"^    (.*)$", section, re.MULTILINE)


def written(path: Path, runs: list[PlannedRun], *words: str) -> None:
    write_store(path, runs, command=["python", "-m", "rlbench.run", *words])


def test_all_commands_that_made_runs_are_printed_with_the_store(tmp_path: Path) -> None:
    store = tmp_path / "mine"
    written(store, RUNS[:2], "variant=a", "seeds=2", f"store={store}")
    written(store, RUNS, "variant=a", "seeds=4")
    assert commands_of(store) == [
        "python -m rlbench.run variant=a seeds=2 store=mine",
        "python -m rlbench.run variant=a seeds=4 store=mine",
        "python -m rlbench.report experiment=example store=mine",
        "python -m rlbench.results table=runs experiment=example format=csv store=mine",
        "python -m rlbench.verify store=mine",
    ]


def test_a_command_that_made_nothing_changes_no_command(tmp_path: Path) -> None:
    store = tmp_path / "mine"
    written(store, RUNS, "variant=a", "seeds=4")
    before = commands_of(store)
    written(store, RUNS[:1], "variant=a", "seeds=1")
    written(store, RUNS, "variant=a", "seeds=4", "workers=1")
    assert commands_of(store) == before
    assert load(store).experiments["example"]["command"][-1] == "seeds=4"


def test_a_command_that_goes_on_with_what_is_missing_is_printed_once(tmp_path: Path) -> None:
    store = tmp_path / "mine"
    unfinished = [*RUNS[:3], PlannedRun("a", 3, status="pending")]
    for runs in (unfinished, RUNS):
        written(store, runs, "variant=a", "seeds=4")
    assert len(commands_of(store)) == 4


def test_a_store_that_knows_one_command_only_prints_it(tmp_path: Path) -> None:
    store = tmp_path / "mine"
    written(store, RUNS[:2], "variant=a", "seeds=2")
    results = load(store)
    definition = {key: one for key, one in results.experiments["example"].items() if key != "commands"}
    results._snapshot.experiments["example"] = definition
    markdown = (write_report(results, "example", tmp_path / "out").parent / "report.md").read_text()
    assert "    python -m rlbench.run variant=a seeds=2 store=mine\n" in markdown


def test_a_call_from_python_is_a_command_too(monkeypatch: pytest.MonkeyPatch) -> None:
    variant = rlbench.Variant(discount=0.9)
    words = ["env=CartPole-v1", "env.max_env_steps=null", "store=/somewhere/results", "seeds=[0,3]", "steps=5000"]
    request = from_python._request(variant, words, "it's mine")
    line = command_line(request.definition["command"], "results")
    told = shlex.split(line)
    assert told[:2] == ["python", "-c"]
    assert "/somewhere" not in line
    called: dict[str, Any] = {}
    monkeypatch.setattr(rlbench, "run", lambda variant, **given: called.update(given, variant=variant))
    monkeypatch.setattr(sys, "argv", ["-c", *told[3:]])
    exec(told[2], {})
    assert called == {
        "variant": variant,
        "label": "it's mine",
        "env": "CartPole-v1",
        "seeds": "[0,3]",
        "steps": "5000",
        "store": "results",
    }


def test_seeds_may_be_given_as_on_the_command_line(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"store": tmp_path, "workers": 1, "evaluation__period": 20, "steps": 40}
    assert list(rlbench.run("random", seeds="[0,3]", **settings).runs["seed"]) == [0, 3]
    assert commands_of_name(tmp_path, "adhoc")[0].startswith("python -m rlbench.run variant=random ")


def commands_of_name(path: Path, name: str) -> list[str]:
    markdown = write_report(load(path), name, path / "out").parent / "report.md"
    return re.findall(r"^    (.*)$", markdown.read_text().split("### Derive it again")[1], re.MULTILINE)


def test_a_shell_reads_back_what_was_typed() -> None:
    words = [
        "printf",
        "%s|",
        "wandb.project=<script>alert('x')</script>",
        "name=a\x1b[31m\nb&`c`",
        "plain",
        "it's \\ ünï",
    ]
    line = command_line(words)
    assert line.isprintable()
    assert not set("<>&`") & set(line)
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True, text=True, env=environment)
    assert done.stdout.split("|")[:-1] == words[2:]
