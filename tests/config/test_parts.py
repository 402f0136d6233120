"""Parts and claims of an experiment file: what they make of the comparisons, and what is refused."""

import json
from pathlib import Path

import pytest

from rlbench.config import resolve
from rlbench.config.experiment_file import read_experiment
from rlbench.errors import ConfigError

FILE = """
variant: [hard_mse, soft_mse, hard_huber, soft_huber]
env: cartpole
seeds: 2
steps: 1000
parts:
  base: hard_mse
  whole: soft_huber
  added: {soft target: soft_mse, huber: hard_huber}
  left_out: {soft target: hard_huber, huber: soft_mse}
claims:
  - {claim: A soft target is better, source: somebody, pair: [soft_mse, hard_mse]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    return tmp_path / "experiments"


def test_parts_are_two_families_in_which_above_0_says_that_the_part_helps(folder: Path) -> None:
    (folder / "parts.yaml").write_text(FILE)
    file = read_experiment("parts", None)
    assert {one.family: one.pairs for one in file.comparisons} == {
        "parts added to hard_mse": (("soft_mse", "hard_mse"), ("hard_huber", "hard_mse")),
        "parts of soft_huber": (("soft_huber", "hard_huber"), ("soft_huber", "soft_mse")),
    }
    definition = json.loads(json.dumps(resolve(["experiment=parts"]).definition))
    assert definition["parts"]["left_out"] == [["soft target", "hard_huber"], ["huber", "soft_mse"]]
    assert definition["claims"][0]["pair"] == ["soft_mse", "hard_mse"]


def test_a_command_with_fewer_cells_has_fewer_parts(folder: Path) -> None:
    (folder / "parts.yaml").write_text(FILE)
    definition = resolve(["experiment=parts", "variant=hard_mse,soft_mse"]).definition
    assert definition["parts"] == {
        "base": "hard_mse", "whole": "soft_huber", "added": [["soft target", "soft_mse"]], "left_out": [],
    }  # fmt: skip
    assert [one["family"] for one in definition["comparisons"]] == ["parts added to hard_mse"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("base: hard_mse", "start: hard_mse", "parts is a mapping {base: cell"),
        ("  base: hard_mse\n", "", "parts is a mapping {base: cell"),
        ("huber: hard_huber}", "huber: hard_mse}", "'huber' needs a cell other than 'hard_mse'"),
        ("huber: hard_huber}", "huber: soft_mse}", "parts: 'soft_mse' stands for two parts"),
        ("huber: hard_huber}", "huber: hard_hubert}", "unknown cell 'hard_hubert'; did you mean 'hard_huber'?"),
        ("pair: [soft_mse, hard_mse]", "pair: [soft_mse, hard_huber]", "[soft_mse, hard_huber], which no comparison declares"),
        ("pair: [soft_mse, hard_mse]", "pair: [[soft_mse], hard_mse]", "claims is a list of {claim: words, source: words"),
        ("pair: [soft_mse, hard_mse]", "pair: [soft_mse]", "claims is a list of {claim: words, source: words"),
        ("source: somebody, ", "", "claims is a list of {claim: words, source: words"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_line(folder: Path, old: str, new: str, said: str) -> None:
    assert old in FILE
    (folder / "parts.yaml").write_text(FILE.replace(old, new, 1))
    with pytest.raises(ConfigError) as refused:
        resolve(["experiment=parts"])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
