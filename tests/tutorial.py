"""The commands of docs/tutorial.md with what they print: `python -m tests.tutorial` runs them all and writes what they print now.

A block whose first line is a comment with a file's name is that file; `console` blocks are a command behind `$` and its output.
Runs have the same bits on every CPU, so the output is the same everywhere, but for the lines of `MACHINE`.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(yaml|python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MACHINE = re.compile(r"^  (memory|expected time): .*$", re.MULTILINE)


def followed(page: str, folder: Path, see: Callable[[str, str, str], None]) -> str:
    """Do in `folder` what a page says; `see(command, told, printed)` each command. Returns the page with what was printed."""

    def follow(block: re.Match[str]) -> str:
        language, text = block.groups()
        first, _, rest = text.partition("\n")
        if language != "console":
            path = folder / first.removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            return block[0]
        printed = output_of(shlex.split(first.removeprefix("$ ")), folder)
        see(first, rest, printed)
        return f"```console\n{first}\n{printed}```"

    return BLOCK.sub(follow, page)


def output_of(words: list[str], folder: Path) -> str:
    """What a command prints to a pipe, compiled as for everybody; its progress is left out."""
    program = {"rlbench": ["-m", "rlbench"], "python": []}[words[0]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RLBENCH_")}
    environment |= {"NO_COLOR": "1", "COLUMNS": "80"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, *program, *words[1:]]
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ).stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = followed(
            PAGE.read_text(), Path(folder), lambda command, told, printed: print(command, printed, sep="\n")
        )
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
