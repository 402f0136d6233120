"""Input at the edges: numbers of thousands of digits, endless words and files, and files that choose what is not theirs."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rlbench.run as run
import rlbench.tune as tune

DIGITS = "9" * 6_000
ENDLESS = "x" * 100_000
LINKED = "abcdefghi"
# Nine levels of nine aliases each: 400 million values in under 500 bytes.
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in itertools.pairwise(LINKED)
)
DEEP = f"question: {'[' * 1500}{']' * 1500}\nvariant: hard_mse\n"
STUDY = "variant: soft_mse\nsteps: 1000\nspace: {optimizer.lr: {log: [1e-4, 1e-2]}}\n"


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must be refused in one short line, with nothing written; returns the line."""

    def refuse(*words: str, command: Callable[[list[str]], int] = run.main) -> str:
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        assert command([*words]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert len(err) < 1_500
        assert err.rstrip("\n").isprintable()
        assert sorted(tmp_path.rglob("*")) == before
        return err

    return refuse


@pytest.mark.parametrize(
    "key", ["workers", "seeds", "episodes", "steps", "lanes", "checkpoint_seconds", "lease_seconds", "optimizer.lr"]
)
def test_thousands_of_digits(key: str, refused: Callable[..., str]) -> None:
    assert key in refused(f"{key}={DIGITS}")


@pytest.mark.parametrize("word", [f"seeds=0:{DIGITS}", f"seeds=[{DIGITS}]", f"workers={'9' * 4000}", "workers=100000"])
def test_numbers_beyond_all_bounds(word: str, refused: Callable[..., str]) -> None:
    assert "at most" in refused(word) or "cannot read" in refused(word)


@pytest.mark.parametrize(
    "word",
    [ENDLESS, f"variant={ENDLESS}", f"name={ENDLESS}", f"env={ENDLESS}", f"optimizer.lr={ENDLESS}", f"{ENDLESS}=1"],
)
def test_an_endless_word_is_not_echoed_whole(word: str, refused: Callable[..., str]) -> None:
    assert "xxx..." in refused(word)


@pytest.mark.parametrize("word", ["store=~nosuchuser/x", "--config-dir=~nosuchuser/x"])
def test_a_home_of_nobody(word: str, refused: Callable[..., str]) -> None:
    assert "there is no such user" in refused(word)


def test_control_characters_are_shown_and_not_sent(refused: Callable[..., str]) -> None:
    assert r"\x1b[31m" in refused("\x1b[31mred\x07=3")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB + "variant: *i\n", "too many values, aliases written out"),
        (DEEP, "nested too deeply"),
        ("question: &a [*a]\n", "*a stands for nothing before it"),
        (f"variant: hard_mse\nquestion: {'q' * 400_000}\n", "too large"),
        ("variant: hard_mse\nset: {experiment: x}\n", "set.experiment is not a file's to choose"),
        ("variant: hard_mse\nset: {store: elsewhere}\n", "set.store is not a file's to choose"),
        ("variant: hard_mse\nset: {wandb.mode: online}\n", "set.wandb.mode is not a file's to choose"),
        ("variant: hard_mse\ngrid: {workers: [1, 2]}\n", "grid.workers is not a file's to choose"),
        ("variant: hard_mse\nset: {seeds: 3}\n", "seeds stands beside set"),
        (
            "variant: hard_mse\nthreshold: {CartPol-v1: 3}\n",
            "threshold is given for 'CartPol-v1', which is no environment of",
        ),
        ("variant: hard_mse\nsmallest_effect: {Acrobot-v1: 3}\n", "smallest_effect is given for 'Acrobot-v1'"),
    ],
)
def test_a_wrong_experiment_file(text: str, told: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "asked.yaml").write_text(text)
    begin = time.process_time()
    assert told in refused(f"--config-dir={tmp_path}", "experiment=asked")
    assert time.process_time() - begin < 20


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "too many values"),
        (DEEP, "nested too deeply"),
        ("store: elsewhere\n", "variant=mine: store is not a file's to choose"),
        ("wandb: {mode: online}\n", "variant=mine: wandb.mode is not a file's to choose"),
        ("workers: 7\n", "variant=mine: workers is not a file's to choose"),
    ],
)
def test_a_wrong_variant_file(text: str, told: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant" / "mine.yaml").write_text(text)
    assert told in refused(f"--config-dir={tmp_path}", "variant=mine")


@pytest.mark.parametrize("trials", ["1e30", "1" + "0" * 30, DIGITS, "0"])
def test_a_number_of_trials_that_nobody_waits_for(trials: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "asked.yaml").write_text(f"{STUDY}trials: {trials}\n")
    told = "trials is a whole number of at least 1 and at most 1000000"
    assert told in refused(f"--config-dir={tmp_path}", "study=asked", command=tune.main)
    assert told in refused(f"--config-dir={tmp_path}", "study=asked", f"trials={trials}", command=tune.main)


def test_the_winner_of_a_study_that_was_not_tuned(refused: Callable[..., str]) -> None:
    told = refused("variant=study:cartpole", "store=mine")
    assert "mine has no winner of study 'cartpole'" in told
    assert told.endswith("tune it first: python -m rlbench.tune study=cartpole store=mine\n")
