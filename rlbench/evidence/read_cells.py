"""What was read of each variant on each environment, for the page and for the terminal.

In: `SourceRun`s. Out: plain values and lines. Knows nothing of how the files look.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rlbench.evidence.source import SourceRun, shortened_list
from rlbench.plain_text import escaped

_MAX_SEEDS = 20  # that are told one by one


@dataclass(frozen=True)
class ReadCell:
    """The runs of one variant on one environment. origin: the first and the last file or row, and how many files."""

    variant: str
    env: str
    num_runs: int
    seeds: str
    num_returns: int
    origin: str

    @property
    def told(self) -> str:
        """One line."""
        said = (
            f"read: {self.variant} on {self.env}: {self.num_returns} returns of runs {self.seeds}, from {self.origin}"
        )
        return escaped(said)


def read_cells(sources: Iterable[SourceRun]) -> list[ReadCell]:
    """One for each pair of variant and environment, in the order in which they were read."""
    own: dict[tuple[str, str], list[SourceRun]] = {}
    for source in sources:
        own.setdefault((source.variant, source.env), []).append(source)
    return [_cell(variant, env, runs) for (variant, env), runs in own.items()]


def _cell(variant: str, env: str, runs: Sequence[SourceRun]) -> ReadCell:
    in_order = sorted(runs, key=lambda run: run.seed)
    origins = dict.fromkeys((in_order[0].origin, in_order[-1].origin))
    num_files = sum(run.num_files for run in runs)
    files = f" ({num_files} files)" if num_files > len(runs) else ""
    return ReadCell(
        variant,
        env,
        len(runs),
        shortened_list((run.seed for run in in_order), _MAX_SEEDS),
        sum(len(run.steps) for run in runs),
        " ... ".join(origins) + files,
    )
