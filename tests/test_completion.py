"""A shell completes commands, keys and names out of a file, without starting Python: what bash itself makes of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rlbench.__main__ import COMMANDS, main
from rlbench.completion import script

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "rlbench.bash"
    path.write_text(script())
    return path


def completed(file: Path, line: str, breaks: str = " =:") -> list[str]:
    """What bash offers behind this line; nothing can be started meanwhile."""
    words = line.replace("=", " = ").split(" ") if "=" in breaks else line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words if word or word == words[-1])
    code = f"""
    PATH=/nowhere
    source {file}
    COMP_WORDBREAKS='{breaks}' COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({quoted})
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _rlbench
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run([str(shutil.which("bash")), "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rlbench com", {"completion"}),
        ("rlbench run variant=soft_huber_s", {"soft_huber_small_pixel"}),
        ("rlbench run recipe=keras_mountaincar_", {"keras_mountaincar_fixed"}),
        ("rlbench run seeds=3 experiment=quick", {"quickstart"}),
        (
            "rlbench run variant=hard_mse,soft_h",
            {"hard_mse,soft_huber", "hard_mse,soft_huber_pixel", "hard_mse,soft_huber_small_pixel"},
        ),
        ("rlbench run optimizer.l", {"optimizer.lr="}),
        ("rlbench run optimizer.amsgrad=", {"true", "false"}),
        ("rlbench run --c", {"--cfg", "--config-dir"}),
        ("rlbench results format=p", {"parquet"}),
        ("rlbench results exp", {"experiment="}),
        ("rlbench tune study=c", {"cartpole"}),
        ("rlbench delete --y", {"--yes"}),
        ("rlbench completion z", {"zsh"}),
        ("rlbench run nothing_li", set()),
    ],
)
def test_it_offers_what_there_is(file: Path, line: str, offered: set[str]) -> None:
    assert set(completed(file, line)) == offered


def test_every_command_is_offered_and_has_words(file: Path) -> None:
    assert set(completed(file, "rlbench ")) == {*COMMANDS, "--help", "--version"}
    for command in COMMANDS:
        assert "--help" in completed(file, f"rlbench {command} "), command


def test_where_the_sign_is_part_of_a_word_the_whole_word_is_offered(file: Path) -> None:
    assert completed(file, "rlbench run experiment=quick", breaks=" ") == ["experiment=quickstart"]


def test_for_zsh_it_asks_for_what_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert "bashcompinit" in first
    assert rest == script()


@pytest.mark.parametrize(
    ("words", "told"), [([], "bash or zsh"), (["bsh"], "did you mean 'bash'?"), (["bash", "zsh"], "bash or zsh")]
)
def test_another_shell_is_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_it_is_written_without_torch() -> None:
    code = "import rlbench.completion, sys; rlbench.completion.script(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
