"""Where workers run: which launchers there are, the `launcher` key and the `launcher.*` keys of all of them together.

A new launcher is entered here: its line in `LAUNCHERS` and its keys. None of them changes the result of a run, and
none is part of a run's id. Imports no launcher.
"""

import dataclasses
from typing import Any

from rlbench.errors import ConfigError
from rlbench.lanes.choices.choice import check, structural

LOCAL, RAY, SLURM = "local", "ray", "slurm"

# What is typed -> its class as module:Class, and the package beside those of rlbench that it needs, an extra of the launcher's name.
LAUNCHERS: dict[str, tuple[str, str | None]] = {
    LOCAL: ("rlbench.runner.local:LocalLauncher", None),
    RAY: ("rlbench.runner.ray:RayLauncher", "ray"),
    SLURM: ("rlbench.runner.slurm:SlurmLauncher", "submitit"),
}
EXECUTORS = ("slurm", "local")


def _of(launchers: tuple[str, ...], default: Any, meaning: str, bound: str = "", allowed: tuple[str, ...] = ()) -> Any:
    """A field that only these launchers have."""
    field = structural(default, f"{meaning} ({' and '.join(launchers)})", bound, allowed)
    return dataclasses.field(default=default, metadata={**field.metadata, "launchers": launchers})


@dataclasses.dataclass(frozen=True)
class LauncherSettings:
    """The keys; `kind` is typed as `launcher` alone."""

    kind: str = structural(
        LOCAL, "where workers run: processes here, actors of Ray, or jobs of SLURM", allowed=tuple(LAUNCHERS)
    )
    address: str | None = _of((RAY,), None, "the cluster, host:port or auto; null starts Ray here")
    cpus: float = _of((RAY, SLURM), 1.0, "CPUs of a worker; with Ray it may share one: 0.5", "> 0")
    memory_gb: float | None = _of((RAY, SLURM), None, "memory set aside for a worker, in GB", "> 0")
    partition: str | None = _of((SLURM,), None, "the partition of the jobs")
    account: str | None = _of((SLURM,), None, "who is charged")
    minutes: int = _of((SLURM,), 240, "time limit of a job; a worker whose time is up is replaced", ">= 5")
    sbatch: tuple[str, ...] = _of((SLURM,), (), "further options of sbatch, as a [list] of texts 'option=value'")
    executor: str = _of((SLURM,), "slurm", "local: the same jobs as processes here, to try them", allowed=EXECUTORS)

    def __post_init__(self) -> None:
        """Raises ConfigError for an impossible value, and for a key of a launcher that is not taken."""
        check(self, "launcher.")
        for field in dataclasses.fields(self):
            owners = field.metadata.get("launchers", (self.kind,))
            if self.kind not in owners and getattr(self, field.name) != field.default:
                raise ConfigError(
                    f"'launcher.{field.name}' does not apply: launcher={self.kind} has no '{field.name}', only "
                    f"{' and '.join(f'launcher={owner}' for owner in owners)}"
                )
        if self.cpus != int(self.cpus) and (self.cpus > 1 or self.kind == SLURM):
            parts = "" if self.kind == SLURM else ", or below 1,"
            raise ConfigError(
                f"launcher.cpus must be a whole number{parts} with launcher={self.kind}; got {self.cpus:g}"
            )
        wrong = [option for option in self.sbatch if not option.partition("=")[0].strip() or "\n" in option]
        if wrong:
            raise ConfigError(
                f"launcher.sbatch is a list of texts 'option=value', such as 'qos=short'; got {wrong[0]!r}"
            )
