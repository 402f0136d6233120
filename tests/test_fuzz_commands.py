"""Command lines and files that nobody meant, through the commands themselves: one line and a documented exit code, never a traceback.

The default run is bounded; `RLBENCH_FUZZ_MINUTES=60 RLBENCH_FUZZ_SEED=1 python -m pytest -m slow tests/test_fuzz_commands.py` goes on for
an hour from that seed. Whatever a word says, `--dry-run` is there too: nothing trains, and nothing may be written.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import rlbench.play as play
import rlbench.report as report
import rlbench.results as results
import rlbench.run as run
import rlbench.tune as tune
import rlbench.verify as verify
from rlbench.__main__ import main as rlbench_main
from rlbench.config import groups
from rlbench.config.experiment_file import KEYS as EXPERIMENT_KEYS
from rlbench.config.keys import all_keys
from rlbench.tuning.study_file import KEYS as STUDY_KEYS

Command = Callable[[list[str]], int]
MINUTES = float(os.environ.get("RLBENCH_FUZZ_MINUTES", "0.5"))
SEED = int(os.environ.get("RLBENCH_FUZZ_SEED", "0"))
EXAMPLES = {"variant": 10, "recipe": 10}  # each is composed by Hydra; of the others
MOST_EXAMPLES = 40

odd = st.sampled_from(
    [
        "", "0", "-1", "1e400", "nan", "inf", "null", "true", "9" * 5000, "1e-320", "0.05", "2500.5", "[", "]", "{", "[]", "{}", "[1,2]",
        "1,2", "1,1", "0:3", "3:0", "range(1,4)", "range(1,9,0)", "glob(*)", "choice(1,2)", "interval(0,1)", "sort(2,1)", "shuffle(1,2)",
        "int(3)", "'quoted'", '"quoted"', "a=b", "${x}", "${oc.env:HOME}", "~", "~nobody/x", "../up", "/", "\x00", "\x1b[31m", "\u202e",
        "\ud800", "x" * 5000, "hard_mse", "mse,huber", "CartPole-v1", "os:X-v0", "study:x", "!!python/none", "*a", "&a b",
    ]
)  # fmt: skip
texts = odd | st.text(max_size=12) | st.integers(-(10**25), 10**25).map(str) | st.floats().map(repr)
keys = st.sampled_from([*all_keys(), *groups.MEANINGS, "trials", "study", "storage"]) | st.text(max_size=8)
words = st.one_of(
    st.builds("{}={}".format, keys, texts),
    texts,
    st.sampled_from(["--help", "-h", "--config-dir", "--config-dir=.", "--dry", "-x"]),
)
scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    odd.filter(lambda text: len(text) < 60),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
RIGHT = {
    "variant": ["hard_mse", "soft_mse"], "steps": 1000, "seeds": 2, "trials": 4, "env": "cartpole", "space": {"optimizer.lr": [1e-3, 1e-4]},
    "threshold": 3, "evaluation": {"period": 0.1}, "comparisons": [{"family": "f", "pairs": [["hard_mse", "soft_mse"]]}],
}  # fmt: skip


def files_of(known: Sequence[str]) -> st.SearchStrategy[str]:
    """YAML: a right file with some keys replaced, or what is hardly a file."""
    changed = st.dictionaries(st.sampled_from(list(known)) | st.text(max_size=5), values, max_size=3)
    mapping = changed.map(lambda more: {key: value for key, value in RIGHT.items() if key in known} | more)
    written = (mapping | values).map(lambda data: yaml.safe_dump(data, allow_unicode=True))
    raw = st.lists(odd, max_size=6).map(": ".join) | st.text("[]{}:,&*!|>-?'\"#%@` \n\tab1", max_size=40)
    return written | raw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder, which is also where the commands are run."""
    made = tmp_path_factory.mktemp("fuzz")
    for kind in ("experiment", "study", "variant", "recipe"):
        (made / kind).mkdir()
    return made


class Checked:
    """Runs commands, and checks what every one of them owes."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capfd = folder, capfd

    def __call__(self, command: Command, argv: list[str]) -> None:
        before = sorted(self.folder.rglob("*"))
        code = command(argv)
        out, err = self.capfd.readouterr()
        assert code in (0, 1, 2, 3), (code, argv)
        assert "Traceback" not in out + err
        assert sorted(self.folder.rglob("*")) == before, argv
        if code == 2:
            assert out == "", argv
            assert len(err) < 6_000, argv
            assert err.count("\n") == 1, (err, argv)
            assert err[:-1].isprintable(), (err, argv)


@pytest.fixture
def checked(folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Checked:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Checked(folder, capfd)


def fuzz(name: str, checked: "Checked", *, seconds: float | None = None) -> int:
    """Try a kind on examples: a fixed number, or rounds of other seeds until the time is over; returns the number of rounds."""
    strategy, body = kinds(checked)[name]
    end, rounds = time.monotonic() + (seconds or 0.0), 0
    while rounds == 0 or (seconds is not None and time.monotonic() < end):
        number = EXAMPLES.get(name, MOST_EXAMPLES)
        asked = settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        seed(SEED + rounds)(asked(given(strategy)(body)))()
        rounds += 1
    return rounds


OTHERS: dict[str, Command] = {
    "results": results.main, "report": report.main, "verify": verify.main, "play": play.main, "rlbench": rlbench_main,
}  # fmt: skip
lines = st.lists(words, max_size=3)
FILES = {"experiment": (EXPERIMENT_KEYS, run.main), "study": (STUDY_KEYS, tune.main)}


def kinds(checked: Checked) -> dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]]:
    """What is tried, by name: a strategy, and what is done with each of its examples."""
    dry = ["--dry-run"]

    def run_line(line: list[str]) -> None:
        checked(run.main, [*line, *dry])

    def tune_line(line: list[str]) -> None:
        checked(tune.main, ["study=cartpole", *line, *dry])

    def other(case: tuple[str, list[str]]) -> None:
        checked(OTHERS[case[0]], case[1])

    def file_of(kind: str) -> Callable[[str], None]:
        def body(text: str) -> None:
            path = checked.folder / kind / "asked.yaml"
            path.write_text(text, encoding="utf-8", errors="surrogatepass")
            command = FILES[kind][1] if kind in FILES else run.main
            checked(command, [f"--config-dir={checked.folder}", f"{kind}=asked", "seeds=1", *dry])
            path.unlink()

        return body

    others = st.tuples(st.sampled_from([name for name in OTHERS if name != "rlbench"]), lines)
    # `rlbench run` without a word is right, and trains: no case of what must write nothing.
    everything = st.tuples(st.just("rlbench"), st.lists(texts.filter(lambda word: word != "run"), max_size=1))
    named = {kind: (files_of(known), file_of(kind)) for kind, (known, _) in FILES.items()}
    named |= {kind: (files_of([*all_keys(), *groups.CLASSES]), file_of(kind)) for kind in ("variant", "recipe")}
    return {"run": (lines, run_line), "tune": (lines, tune_line), "others": (others | everything, other), **named}


NAMES = ("run", "tune", "others", "experiment", "study", "variant", "recipe")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_a_line_and_a_documented_exit_code_comes_out(name: str, checked: Checked) -> None:
    assert fuzz(name, checked) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_for_as_long_as_asked(name: str, checked: Checked) -> None:
    rounds = fuzz(name, checked, seconds=60 * MINUTES / len(NAMES))
    with checked.capfd.disabled():
        print(f"{name}: {rounds} rounds, seeds {SEED} to {SEED + rounds - 1}")
