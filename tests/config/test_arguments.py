"""The key=value words of the simple commands."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlbench import delete, play, report, results, run, show, sync, tune, verify
from rlbench.config.arguments import HelpPrinted, parse_arguments, run_command
from rlbench.errors import EXIT_BAD_INPUT, ConfigError, RlbenchError, StoreError, check_choice, did_you_mean

ALLOWED = {"store": "results", "experiment": None, "format": "table"}
CHOICES = {"format": ("csv", "table")}


def parse(*words: str) -> dict[str, str]:
    return parse_arguments(words, ALLOWED, prog="prog", doc="What it does.", choices=CHOICES)


def test_defaults_and_given_values() -> None:
    assert parse() == {"store": "results", "format": "table"}
    assert parse("experiment=x", "format=csv", "store=a=b c") == {"store": "a=b c", "format": "csv", "experiment": "x"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stroe=x"], "unknown key 'stroe'; did you mean 'store'? (see: prog --help)"),
        (["qqq=x"], "unknown key 'qqq' (see: prog --help)"),
        (["--store", "x"], "'--store' is written key=value; did you mean store=x? (see: prog --help)"),
        (["store="], "'store=' has no value (see: prog --help)"),
        (["store=a", "store=b"], "'store' is given twice: store=a and store=b"),
        (["format=cvs"], "unknown format 'cvs'; did you mean 'csv'? (one of: csv, table)"),
        ([""], "expected key=value, got '' (see: prog --help)"),
    ],
)
def test_mistakes_name_the_word_and_the_nearest_right_one(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(*words)
    assert str(raised.value) == message


@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_words_are_parsed_or_refused_in_one_line(words: list[str]) -> None:
    if {"-h", "--help"} & set(words):
        return
    try:
        parsed = parse(*words)
    except ConfigError:
        return
    assert set(parsed) <= set(ALLOWED)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["nonsense", "--help"]])
def test_help_prints_every_key_and_leaves_with_0(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        parse(*words)
    assert raised.value.code == 0
    out = capsys.readouterr().out
    assert "What it does." in out
    assert "store        default: results" in out
    assert "experiment   optional" in out
    assert "one of: csv, table" in out


def test_did_you_mean_ignores_case_and_stays_silent_when_nothing_is_near() -> None:
    assert did_you_mean("SOFT_HUBBER", ["soft_huber"]) == "; did you mean 'soft_huber'?"
    assert did_you_mean("soft_hubber", ["Soft_Huber"]) == "; did you mean 'Soft_Huber'?"
    assert did_you_mean("x", ["soft_huber"]) == ""


def test_check_choice_among_nothing() -> None:
    with pytest.raises(ConfigError, match=r"unknown experiment 'x' \(one of: none\)"):
        check_choice("experiment", "x", [])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("bad"), 2, "prog: bad\n"),
        (StoreError("gone"), 2, "prog: gone\n"),
        (KeyboardInterrupt(), 130, ""),
        (HelpPrinted(0), 0, ""),
        (SystemExit(0), 2, "prog: a module called sys.exit(0)\n"),
    ],
)
def test_run_command_turns_errors_into_exit_codes(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def body() -> int:
        raise error

    assert run_command("prog", body) == code
    assert capsys.readouterr().err == said


def test_run_command_lets_mistakes_of_the_program_through() -> None:
    def body() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command("prog", body)
    assert not issubclass(ZeroDivisionError, RlbenchError)
    assert run_command("prog", lambda: 3) == 3


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (run.main, ["store={long}", "seeds=1", "steps=1000"]),
        (run.main, ["--config-dir", "{long}"]),
        (report.main, ["store={long}"]),
        (report.main, ["store={long},{long}"]),
        (report.main, ["from={scores}", "out={long}"]),
        (results.main, ["store={long}"]),
        (verify.main, ["store={long}"]),
        (sync.main, ["store={long}"]),
        (play.main, ["store={long}", "run=soft_huber"]),
        (show.main, ["store={long}", "soft_huber"]),
        (delete.main, ["store={long}", "soft_huber"]),
        (tune.main, ["store={long}", "study=cartpole"]),
    ],
    ids=lambda value: value.__module__ if callable(value) else value[0][:6],
)
@pytest.mark.parametrize("long", ["x" * 300, "/".join(["y" * 100] * 60)], ids=["name", "path"])
def test_a_path_too_long_for_the_system_is_bad_input(
    main: Callable[[list[str]], int], words: list[str], long: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_text("variant,env,seed,score\n" + "".join(f"{name},E,{i},{i}\n" for name in "ab" for i in range(3)))
    assert main([word.format(long=long, scores=scores) for word in words]) == EXIT_BAD_INPUT
    assert len(capfd.readouterr().err.splitlines()) == 1
