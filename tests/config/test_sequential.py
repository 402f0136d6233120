"""The `sequential` plan of an experiment file: what it may say, and what a command may do with it."""

from pathlib import Path
from typing import Any

import pytest

from rlbench.config import resolve
from rlbench.config.sequential import METRICS, SPENDING, SequentialSpec, read_sequential, smallest_p
from rlbench.errors import ConfigError
from rlbench.stats import paired_permutation_test, permutation_test
from rlbench.stats.sequential import SPENDING as KNOWN_SPENDING

PAIRS = [("a", "b")]
HEAD = "variant: [hard_mse, soft_mse]\nseeds: 20\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that writes ./experiments/mine.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()

    def write_file(text: str) -> None:
        (tmp_path / "experiments" / "mine.yaml").write_text(text)

    return write_file


def test_the_words_are_those_of_the_statistics_and_of_the_store() -> None:
    assert SPENDING == KNOWN_SPENDING
    assert tuple(METRICS) == ("final_return", "auc")


def test_the_smallest_p_values_are_those_of_the_tests() -> None:
    x, y = [3.0, 4.0, 5.0, 6.5], [0.0, 0.5, 1.0, 2.0]
    assert paired_permutation_test(x, y).p_value == pytest.approx(smallest_p(4, paired=True))
    assert permutation_test(x, y).p_value == pytest.approx(smallest_p(4, paired=False))


def test_a_plan_takes_the_declared_pairs_and_defaults() -> None:
    assert read_sequential({"looks": ["10", "20"]}, [*PAIRS, *PAIRS]) == SequentialSpec((("a", "b"),), (10, 20))
    whole = {
        "looks": ["4", "9"],
        "comparisons": [["c", "d"], ["a", "d"]],
        "alpha": "0.5",
        "spending": "pocock",
        "paired": "false",
        "metric": "auc",
    }
    assert read_sequential(whole, PAIRS) == SequentialSpec(
        (("c", "d"), ("a", "d")), (4, 9), 0.5, "pocock", False, "auc"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("10", "sequential is a mapping of looks,"),
        ({"look": ["10"]}, "unknown key 'sequential.look'; did you mean 'looks'?"),
        ({}, "sequential.looks is a list of numbers of seeds"),
        ({"looks": ["10", "x"]}, "sequential.looks is a list of numbers of seeds"),
        ({"looks": ["10", "10"]}, "sequential.looks must ascend"),
        ({"looks": ["1", "10"]}, "sequential.looks must ascend, from 2 seeds"),
        ({"looks": ["10"], "alpha": "1.5"}, "sequential.alpha must be a number above 0"),
        ({"looks": ["10"], "alpha": "x"}, "sequential.alpha must be a number above 0 and at most 0.5; got x"),
        ({"looks": ["10"], "alpha": ["1"]}, "sequential.alpha is one value"),
        ({"looks": ["10"], "spending": "pocok"}, "unknown sequential.spending 'pocok'; did you mean 'pocock'?"),
        ({"looks": ["10"], "paired": "yes"}, "unknown sequential.paired 'yes'"),
        ({"looks": ["10"], "metric": "auk"}, "unknown sequential.metric 'auk'; did you mean 'auc'?"),
        ({"looks": ["10"], "comparisons": [["a"]]}, "sequential.comparisons is a list of pairs"),
        ({"looks": ["10"], "comparisons": [["a", "a"]]}, "sequential.comparisons is a list of pairs"),
        ({"looks": ["10"], "comparisons": [["a", "b"], ["b", "a"]]}, "sequential.comparisons has one pair twice"),
        ({"looks": ["5"]}, "sequential could never decide: 5 paired seeds have no p-value below 0.0625"),
        ({"looks": ["3"], "paired": "false"}, "3 unpaired seeds have no p-value below 0.1"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(data: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_sequential(data, PAIRS)
    assert message in str(caught.value)


def test_a_plan_without_pairs_is_refused() -> None:
    with pytest.raises(ConfigError, match="sequential has nothing to decide"):
        read_sequential({"looks": ["10"]}, [])


def test_the_plan_is_followed_only_where_it_is_asked_for(write: Any) -> None:
    write(HEAD + "sequential: {looks: [10, 20], comparisons: [[soft_mse, hard_mse]]}\n")
    assert resolve(["experiment=mine"]).sequential is None
    asked = resolve(["experiment=mine", "until_decided=true"])
    assert asked.sequential == SequentialSpec((("soft_mse", "hard_mse"),), (10, 20))
    assert len(asked.planned) == 40


@pytest.mark.parametrize(
    ("file", "words", "message"),
    [
        (HEAD, [], "follows the `sequential` plan of an experiment file; there is none"),
        (
            HEAD + "sequential: {looks: [10, 20], comparisons: [[soft_mse, hard_ms]]}",
            [],
            "sequential.comparisons: unknown cell 'hard_ms'; did you mean 'hard_mse'?",
        ),
        (
            HEAD + "sequential: {looks: [10, 21], comparisons: [[soft_mse, hard_mse]]}",
            [],
            "looks at up to 21 seeds and there are 20: seeds=21 would be enough",
        ),
        (
            HEAD + "sequential: {looks: [10, 20], comparisons: [[soft_mse, hard_mse]]}",
            ["variant=soft_mse"],
            "the sequential plan compares 'hard_mse', which this command does not have on CartPole-v1",
        ),
    ],
)
def test_a_plan_that_a_command_cannot_follow_is_refused(write: Any, file: str, words: list[str], message: str) -> None:
    write(file)
    with pytest.raises(ConfigError) as caught:
        resolve(["experiment=mine", "until_decided=true", *words])
    assert message in str(caught.value)


def test_without_an_experiment_there_is_no_plan() -> None:
    with pytest.raises(ConfigError, match="there is none"):
        resolve(["variant=hard_mse", "until_decided=true"])
