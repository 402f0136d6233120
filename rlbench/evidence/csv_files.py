"""Runs from a CSV file: variant, environment, seed, step, return, and perhaps episode; or scores without steps.

In: a path. Out: a `Reading` with its runs in the order in which they first appear. An empty cell of the return is NaN, which is
what pandas writes for it. A row that cannot be read is a finding, and leaves its run aside where it says whose it is. Never:
guesses a column.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from rlbench.errors import ConfigError
from rlbench.evidence.columns import our_names
from rlbench.evidence.source import EVALUATION, Reading, SourceRun, env_name, quoted, shortened_list
from rlbench.evidence.text_files import read_text, rows_of

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
    for (variant, env, seed), rows in whole.groupby(_KEYS, sort=False):
        ordered = rows.sort_values(["step", "episode"], kind="stable")
        steps = ordered["step"].to_numpy(np.int64)
        again = rows[rows.duplicated(["step", "episode"])]
        told = [
            f"{path.name} row {number}: {'a score' if is_table else f'step {step:.0f}'} again"
            for number, step in again["step"].items()
        ]
        run = SourceRun(
            str(variant),
            str(env),
            int(seed),
            steps,
            ordered["return"].to_numpy(np.float64),
            np.zeros(len(ordered), np.int64),
            ordered["episode"].to_numpy(np.int64),
            f"{path.name} row {rows.index[0]}",
            tuple(
                told
                if len(told) <= _MAX_REPEATED
                else [*told[:_MAX_REPEATED], f"and {len(told) - _MAX_REPEATED} more rows"]
            ),
        )
        reading.runs.append(run)
    return reading


def _texts(path: Path, columns: Mapping[str, str] | None, reading: Reading) -> pd.DataFrame:
    """Every cell of a known column as its text; the index is the row in the file, counted from 1."""
    text = read_text(path, path.name)
    rows = list(rows_of(text, path.name))
    theirs = [name.strip() for name in rows[0][1]] if rows else []
    names = our_names(theirs, columns, path.name)
    unused = [name for name, ours in zip(theirs, names, strict=True) if not ours]
    if unused:
        reading.note(f"{path.name}: left aside the columns {shortened_list(unused, 20)}")
    rows = rows[1:]
    if not rows:
        raise ConfigError(f"{path.name} has a header and no rows")
    number, last = rows[-1]
    if not text.endswith(("\n", "\r")):
        if len(last) < len(names):
            shown = quoted(",".join(last))
            reading.leave(
                "cut", f"{path.name} row {number}: {shown} has no end, as while a run is still writing: left aside"
            )
            rows.pop()
        else:
            reading.note(f"{path.name} row {number}: the last row has no line end, and is read as it stands")
    whole = [(number, row) for number, row in rows if len(row) == len(names)]
    for number, row in rows:
        if len(row) != len(names):
            reading.leave(
                "unreadable", f"{path.name} row {number}: {len(row)} values for {len(names)} columns: left aside"
            )
    used = [place for place, ours in enumerate(names) if ours]
    cells = [[row[place].strip() for place in used] for _, row in whole]
    return pd.DataFrame(cells, [number for number, _ in whole], [names[place] for place in used], dtype=str)


def _values(path: Path, frame: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """The frame as numbers and names, without the runs that have a row that cannot be read."""
    names = pd.DataFrame({"variant": frame["variant"], "environment": frame["environment"].map(env_name)}, frame.index)
    values = {name: _number(frame[name]) for name in ("seed", "step", "return", "episode")}
    wrong: dict[str, tuple[pd.Series, str]] = {name: (names[name] == "", "a name") for name in names}
    wrong |= {name: (~_is_count(values[name]), _COUNT) for name in ("seed", "step", "episode")}
    is_word = values["return"].isna() & ~frame["return"].str.lower().isin(["nan", ""])
    wrong["return"] = (is_word, "a number")
    whole = names.assign(**values)
    is_bad = pd.Series(False, frame.index)
    for name, (is_wrong, wanted) in wrong.items():
        for number in frame.index[is_wrong & ~is_bad]:
            said = f"{path.name} row {number}: {name} must be {wanted}, not {quoted(frame.at[number, name])}"
            reading.leave("unreadable", said + _whose(whole.loc[number], is_known=name not in _KEYS))
        is_bad |= is_wrong
    # A run with a hole would be compared as if it were whole: it goes, where the row says whose it is.
    lost = pd.MultiIndex.from_frame(whole.loc[is_bad, _KEYS])
    return whole[~is_bad & ~pd.MultiIndex.from_frame(whole[_KEYS]).isin(lost)]


def _whose(row: pd.Series, *, is_known: bool) -> str:
    return (
        f"; its run ({row['variant']}, {row['environment']}, {row['seed']:.0f}) is left aside"
        if is_known
        else "; left aside"
    )


def _number(texts: pd.Series) -> pd.Series:
    return pd.to_numeric(texts, errors="coerce").astype(np.float64)


def _is_count(values: pd.Series) -> pd.Series:
    return (values >= 0) & (values <= _LARGEST) & (values % 1 == 0)
