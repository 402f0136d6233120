"""A two-level grid of factors as numbers: its cells, its orthogonal contrasts, and its runs by block.

In: a frame with one row per run. Out: a `Grid`, one table [cells, blocks] per environment. Never: fills a missing run in, or
counts a run twice.
"""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rlbench.stats.scores import Floats, check_finite, check_name, without_duplicates


@dataclass(frozen=True)
class Grid:
    """Runs of every combination of two-level factors; block j of an environment is the same seed in all its cells."""

    levels: Mapping[str, tuple[object, object]]  # factor -> (level coded -0.5, level coded +0.5)
    environments: tuple[str, ...]
    scores: tuple[Floats, ...]  # one [cells, blocks] per environment, the last factor running fastest
    blocks: tuple[tuple[Hashable, ...], ...]  # per environment
    num_dropped: int  # blocks left out because a cell lacks them
    num_values: int  # different values of the block, complete or not
    is_across: bool = False  # whether a block lies across all environments, rather than on one

    @property
    def block_names(self) -> tuple[Hashable, ...]:
        """The blocks, or (environment, block) where each lies on one of several environments."""
        if self.is_across or len(self.blocks) == 1:
            return self.blocks[0]
        return tuple((name, one) for name, part in zip(self.environments, self.blocks, strict=True) for one in part)

    @property
    def correlation(self) -> float:
        """Mean correlation over blocks between two cells of an environment, of all pairs that vary; NaN without any."""
        found: list[float] = []
        for table in self.scores:
            varying = table[table.std(axis=1) > 0.0]
            if len(varying) > 1:
                found.extend(np.corrcoef(varying)[np.triu_indices(len(varying), 1)])
        return float(np.mean(found)) if found else float("nan")


def read_grid(
    frame: pd.DataFrame,
    factors: Sequence[str] | Mapping[str, tuple[object, object]],
    block: str,
    value: str,
    environment: str | None,
    duplicates: str,
    incomplete: str,
) -> Grid:
    """Read a grid from a frame with one row per run; see `factorial_effects` for the arguments and what is raised."""
    check_name("incomplete", incomplete, ("error", "drop"))
    names = list(factors)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"factors must be one or more different columns, not {names}")
    places = [] if environment is None else [environment]
    kept = without_duplicates(frame, value, [*places, *names, block], duplicates)
    check_finite(kept[value].to_numpy(np.float64))
    levels = {name: _levels(kept[name], factors[name] if isinstance(factors, Mapping) else None) for name in names}
    runs = {"all": kept}
    if environment is not None:
        runs = {name: kept[kept[environment] == name] for name in dict.fromkeys(kept[environment])}
    cells = _cell_index(list(itertools.product(*levels.values())), names)
    tables = [rows.pivot(index=names, columns=block, values=value).reindex(cells) for rows in runs.values()]
    complete = [_complete(table, f"{name}", block, incomplete) for name, table in zip(runs, tables, strict=True)]
    return Grid(
        levels,
        tuple(str(name) for name in runs),
        tuple(table.to_numpy(np.float64) for table in complete),
        tuple(tuple(table.columns) for table in complete),
        sum(table.shape[1] for table in tables) - sum(table.shape[1] for table in complete),
        kept[block].nunique(),
    )


def _complete(table: pd.DataFrame, name: str, block: str, incomplete: str) -> pd.DataFrame:
    """The blocks of an environment's table [cells, blocks] that have a run in every cell."""
    is_complete = table.notna().all(axis=0)
    lacking = list(table.columns[~is_complete])
    if lacking and incomplete == "error":
        raise ValueError(
            f"{name}: {len(lacking)} of {len(is_complete)} values of {block!r} lack a run in some cell, as "
            f"{lacking[0]}; complete them, or leave them out of every cell with incomplete='drop'"
        )
    if len(is_complete) - len(lacking) < 2:
        raise ValueError(f"{name}: effects need at least 2 values of {block!r} with a run in every cell")
    return table.loc[:, is_complete]


def across(grid: Grid, block: str, incomplete: str) -> Grid:
    """The grid with the same blocks, in the same order, on all environments; those that some environment lacks are dropped.

    Raises ValueError where environments differ in their blocks (unless `incomplete` is "drop"), and below 2 blocks.
    """
    shared = [value for value in grid.blocks[0] if all(value in part for part in grid.blocks[1:])]
    if len(shared) < max(map(len, grid.blocks)) and incomplete == "error":
        raise ValueError(f"blocks across environments need the same values of {block!r} on all of them")
    if len(shared) < 2:
        raise ValueError(f"effects need at least 2 values of {block!r} with a run in every cell of every environment")
    scores = tuple(
        table[:, [part.index(value) for value in shared]] for table, part in zip(grid.scores, grid.blocks, strict=True)
    )
    blocks, num_dropped = (tuple(shared),) * len(scores), grid.num_values - len(shared)
    return replace(grid, scores=scores, blocks=blocks, num_dropped=num_dropped, is_across=True)


def contrasts(factors: Sequence[str]) -> dict[str, Floats]:
    """The orthogonal contrasts of a two-level grid, by name ("target", "target:loss" ...): weights [cells].

    Main effects, then interactions by order. An effect is the coefficient of a regression on codes of +-0.5: a
    two-way interaction is a difference of differences, not half of one.
    """
    codes = np.array(list(itertools.product((-1.0, 1.0), repeat=len(factors))))
    found = {}
    for order in range(1, len(factors) + 1):
        for chosen in itertools.combinations(range(len(factors)), order):
            name = ":".join(factors[place] for place in chosen)
            found[name] = codes[:, chosen].prod(axis=1) / 2.0 ** (len(factors) - order)
    return found


def _levels(column: pd.Series, declared: tuple[object, object] | None) -> tuple[object, object]:
    present = list(dict.fromkeys(column))
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = [level for level in column.cat.categories if level in present]
    if declared is not None:
        if len(declared) != 2 or set(declared) != set(present):
            raise ValueError(f"{column.name!r} was declared with levels {list(declared)} and has {present}")
        return declared[0], declared[1]
    if len(present) != 2:
        raise ValueError(
            f"a factor needs exactly two levels and {column.name!r} has {present}: compare two of them at a time"
        )
    return present[0], present[1]


def _cell_index(cells: Sequence[tuple[object, ...]], names: Sequence[str]) -> pd.Index:
    if len(names) == 1:
        return pd.Index([cell[0] for cell in cells], name=names[0])
    return pd.MultiIndex.from_tuples(cells, names=names)
