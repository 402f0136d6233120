"""Runs from a CSV file: variant, environment, seed, step, return, and perhaps episode; or scores without steps.

In: a path. Out: a `Reading` with its runs in the order in which they first appear. An empty cell of the return is NaN, which is
what pandas writes for it. A row that cannot be read is a finding, and leaves its run aside where it says whose it is. Never:
guesses a column.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlbench.errors import ConfigError
from rlbench.evidence.columns import our_names
from rlbench.evidence.source import EVALUATION, Reading, SourceRun, env_name, quoted, shortened_list
from rlbench.evidence.text_files import TextColumns, columns_of, read_text, rows_of

_LARGEST = 2.0**53
_MAX_REPEATED = 5  # repeated rows of one run that are told one by one
_COUNT = "a whole number from 0 up"
_KEYS = ["variant", "environment", "seed"]


def read_csv(path: Path, *, kind: str = EVALUATION, columns: Mapping[str, str] | None = None) -> Reading:
    """The runs of a file. `columns`: their names -> ours. Raises ConfigError for a file that is not of this form."""
    reading = Reading(kind, "a CSV file")
    frame = _texts(path, columns, reading)
    is_table = "score" in frame
    if is_table:
        reading.has_curves, reading.source = False, "a CSV file of scores without steps"
        frame = frame.rename(columns={"score": "return"}).assign(step="0")
    if "seed" not in frame:
        reading.is_paired = False
        reading.note(
            f"{path.name} names no seeds: each row is taken for a run of its own, and no run is paired with another"
        )
        frame["seed"] = [str(number) for number in range(len(frame))]
    if "episode" not in frame:
        frame["episode"] = "0"
    whole = _values(path, frame, reading)
    again = "a score" if is_table else "step {:.0f}"
    for (variant, env, seed), rows in whole.groupby(_KEYS, sort=False):
        ordered = rows.sort_values(["step", "episode"], kind="stable")
        repeated = rows.loc[rows.duplicated(["step", "episode"]), "step"]
        reading.runs.append(
            SourceRun(
                str(variant),
                str(env),
                int(seed),
                ordered["step"].to_numpy(np.int64),
                ordered["return"].to_numpy(np.float64),
                np.zeros(len(ordered), np.int64),
                ordered["episode"].to_numpy(np.int64),
                f"{path.name} row {rows.index[0]}",
                _told(f"{path.name} row {number}: {again.format(step)} again" for number, step in repeated.items()),
            )
        )
    return reading


def _told(repeated: Iterable[str]) -> tuple[str, ...]:
    """Rows of a run that are there again, and how many more there are."""
    told = tuple(repeated)
    more = len(told) - _MAX_REPEATED
    return told if more <= 0 else (*told[:_MAX_REPEATED], f"and {more} more rows")


def _texts(path: Path, columns: Mapping[str, str] | None, reading: Reading) -> pd.DataFrame:
    """Every cell of a known column as its text; the index is the row in the file, counted from 1."""
    text = read_text(path, path.name)
    rows = rows_of(text, path.name)
    theirs = [name.strip() for name in next(rows, (1, []))[1]]
    names = our_names(theirs, columns, path.name)
    unused = [name for name, ours in zip(theirs, names, strict=True) if not ours]
    if unused:
        reading.note(f"{path.name}: left aside the columns {shortened_list(unused, 20)}")
    places = [place for place, ours in enumerate(names) if ours]
    found = columns_of(rows, len(names), places)
    if not found.numbers and not found.odd:
        raise ConfigError(f"{path.name} has a header and no rows")
    if not text.endswith(("\n", "\r")):
        _end(path, found, len(names), reading)
    odd = [f"row {number}: {len(row)} values for {len(names)} columns: left aside" for number, row in found.odd]
    reading.leave_rows(path.name, odd)
    cells = zip((names[place] for place in places), found.cells, strict=True)
    return pd.DataFrame({ours: pd.Series(own, dtype=str).str.strip() for ours, own in cells}).set_axis(found.numbers)


def _end(path: Path, found: TextColumns, width: int, reading: Reading) -> None:
    """Say what is made of a last row without a line end: one that is too short is still being written."""
    if found.ends_oddly and len(found.odd[-1][1]) < width:
        number, row = found.odd.pop()
        shown = quoted(",".join(row))
        reading.leave(
            "cut", f"{path.name} row {number}: {shown} has no end, as while a run is still writing: left aside"
        )
    elif not found.ends_oddly:
        reading.note(f"{path.name} row {found.numbers[-1]}: the last row has no line end, and is read as it stands")


def _values(path: Path, frame: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """The frame as numbers and names, without the runs that have a row that cannot be read."""
    names = pd.DataFrame({"variant": frame["variant"], "environment": _env_names(frame["environment"])}, frame.index)
    values = {name: _number(frame[name]) for name in ("seed", "step", "return", "episode")}
    wrong: dict[str, tuple[pd.Series, str]] = {name: (names[name] == "", "a name") for name in names}
    wrong |= {name: (~_is_count(values[name]), _COUNT) for name in ("seed", "step", "episode")}
    is_word = values["return"].isna() & ~frame["return"].str.lower().isin(["nan", ""])
    wrong["return"] = (is_word, "a number")
    whole = names.assign(**values)
    is_bad = pd.Series(False, frame.index)
    for name, (is_wrong, wanted) in wrong.items():
        rows = whole[is_wrong & ~is_bad]
        told = [
            f"row {row.Index}: {name} must be {wanted}, not {quoted(frame.at[row.Index, name])}; "
            + (f"its run {_run_told(row)} is left aside" if name not in _KEYS else "left aside")
            for row in rows.itertuples()
        ]
        reading.leave_rows(path.name, told)
        is_bad |= is_wrong
    # A run with a hole would be compared as if it were whole: it goes, where the row says whose it is.
    lost = pd.MultiIndex.from_frame(whole.loc[is_bad, _KEYS])
    return whole[~is_bad & ~pd.MultiIndex.from_frame(whole[_KEYS]).isin(lost)]


def _env_names(texts: pd.Series) -> pd.Series:
    return texts.map({text: env_name(text) for text in texts.unique()})


def _run_told(row: Any) -> str:
    return f"({row.variant}, {row.environment}, {row.seed:.0f})"


def _number(texts: pd.Series) -> pd.Series:
    return pd.to_numeric(texts, errors="coerce").astype(np.float64)


def _is_count(values: pd.Series) -> pd.Series:
    return (values >= 0) & (values <= _LARGEST) & (values % 1 == 0)
