"""The package as Python users and shells meet it: names by tab, a version, and a flag that was meant as a key."""

from importlib.metadata import version

import pytest

import rlbench
from rlbench.__main__ import main
from rlbench.config.arguments import as_key


def test_the_package_lists_what_it_offers() -> None:
    assert set(rlbench.__all__) <= set(dir(rlbench))
    assert rlbench.__version__ == version("rlbench")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rlbench {version('rlbench')}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--seeds", "3"], "did you mean seeds=3?"),
        (["run", "--seeds=3"], "did you mean seeds=3?"),
        (["run", "--optimizer.lr", "1e-3"], "did you mean optimizer.lr=1e-3?"),
        (["results", "--table", "runs"], "did you mean table=runs?"),
    ],
)
def test_a_flag_that_is_a_key_is_shown_as_one(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert told in capsys.readouterr().err


def test_a_flag_without_a_value_is_shown_with_its_gap() -> None:
    assert as_key("--seeds", ["--seeds", "--dry-run"]) == "; did you mean seeds=...?"
