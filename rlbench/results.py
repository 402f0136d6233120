"""`python -m rlbench.results`: print a table of the stored results.

In: key=value words. Out: CSV, JSON, Parquet or a table for the eye on stdout, an exit code. Never: changes the results, or
leaves rows out of a file, but those that are damaged, which it says on stderr.
"""

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Sequence

import pandas as pd

from rlbench.config.arguments import parse_arguments, run_command
from rlbench.errors import EXIT_OK, ConfigError, check_choice
from rlbench.plain_text import one_line
from rlbench.reports.spreadsheet import csv_of
from rlbench.store import load

PROG = "python -m rlbench.results"
DOC = """Print a table of the results.

  table        runs: one row a run; episodes: of training; evaluations: greedy episodes; diagnostics: of the updates
  format       csv, json and parquet hold every row, and are redirected: format=parquet > runs.parquet; table is for reading:
               it shows the first 100, and of the columns those for which the terminal is wide enough
  columns      which columns, in this order: columns=variant,seed,final_return
  experiment   only this experiment's runs
  store        the folder of results"""
TABLES = ("runs", "episodes", "evaluations", "diagnostics")
FORMATS = ("csv", "json", "parquet", "table")
MAX_SHOWN = 100


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on `argv` (default: the process's own words) and return its exit code."""
    return run_command(PROG, lambda: _print_table(sys.argv[1:] if argv is None else argv))


def _print_table(argv: Sequence[str]) -> int:
    allowed = {"table": "runs", "format": "table", "columns": None, "experiment": None, "store": "results"}
    choices = {"table": TABLES, "format": FORMATS}
    arguments = parse_arguments(argv, allowed, prog=PROG, doc=DOC, choices=choices)
    results = load(arguments["store"])
    if "experiment" in arguments:
        results = results.experiment(check_choice("experiment", arguments["experiment"], list(results.experiments)))
    frame: pd.DataFrame = getattr(results, arguments["table"])
    if "columns" in arguments:
        chosen = dict.fromkeys(arguments["columns"].split(","))
        frame = frame[[check_choice("column", name, list(frame)) for name in chosen]]
    if arguments["format"] == "csv":
        csv_of(frame, sys.stdout)
    elif arguments["format"] == "json":
        _write_json(frame)
    elif arguments["format"] == "parquet":
        _write_parquet(frame)
    else:
        _show(frame, None if "columns" in arguments else _terminal_width())
    sys.stdout.flush()
    return EXIT_OK


def _write_json(frame: pd.DataFrame) -> None:
    """An array of one object a row, each on its line. Floats as they are stored; what JSON cannot hold becomes null."""
    # Row by row and not `DataFrame.to_json`, which rounds to 15 decimals.
    names = list(frame.columns)
    columns = [frame[name].astype(object).tolist() for name in names]
    separator = "[\n"
    for row in zip(*columns, strict=True):
        values = (None if pd.isna(value) or value in (math.inf, -math.inf) else value for value in row)
        sys.stdout.write(separator + json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False))
        separator = ",\n"
    print("\n]" if len(frame) else "[]")


def _write_parquet(frame: pd.DataFrame) -> None:
    """The columns with the types that they have in Python. Raises ConfigError where the bytes would go to a screen."""
    if sys.stdout.isatty():
        raise ConfigError("format=parquet is for a file: redirect it, as in  ... format=parquet > runs.parquet")
    frame.to_parquet(sys.stdout.buffer, index=False)


def _terminal_width() -> int | None:
    """How many letters fit on a line; None where what is printed does not go to a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _show(frame: pd.DataFrame, width: int | None) -> None:
    if frame.empty:
        print("no rows")
        return
    shown = frame.head(MAX_SHOWN).map(lambda value: one_line(value) if isinstance(value, str) else value)
    columns = list(shown) if width is None else _fitting(shown, width)
    print(_lines(shown[columns]))
    if len(frame) > MAX_SHOWN:
        print(f"... {len(frame) - MAX_SHOWN} more of {len(frame)} rows; format=csv prints them all")
    left_out = [name for name in shown if name not in columns]
    if left_out:
        told = f"left out for the terminal's width: {', '.join(left_out)}; columns=... chooses"
        print(textwrap.fill(told, width or len(told), break_on_hyphens=False))


def _lines(frame: pd.DataFrame) -> str:
    return str(frame.to_string(index=False, na_rep="-", max_colwidth=40))


def _fitting(frame: pd.DataFrame, width: int) -> list[str]:
    """The columns that fit: those that are the same in all rows go first, then the last."""
    widths = {name: max(map(len, _lines(frame[[name]]).splitlines())) + 1 for name in frame}
    tell_rows_apart = {name for name in frame if frame[name].nunique(dropna=False) > 1}
    kept = sorted(frame, key=lambda name: name not in tell_rows_apart)  # stable: the order within both stays
    while len(kept) > 1 and sum(widths[name] for name in kept) - 1 > width:
        kept.pop()
    return [name for name in frame if name in kept]


if __name__ == "__main__":
    sys.exit(main())
