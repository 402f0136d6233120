"""What must be the same wherever workers run, for one experiment to be one: the versions of rlbench, of torch and of Python."""

import platform
import socket
from collections.abc import Mapping
from importlib import metadata

from rlbench.store.package_version import package_version


def versions() -> dict[str, str]:
    """By name, those of this process. Of a git checkout not the revision, which changes under whoever works on it: each run records it."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"rlbench": package_version().partition("+")[0], "torch": metadata.version("torch"), "Python": python}


def difference(there: Mapping[str, str], host: str) -> str | None:
    """The first of a worker's versions that is not this process's, in a line; None where they agree."""
    for name, here in versions().items():
        if there.get(name) != here:
            return (
                f"{host} has {name} {there.get(name, 'not installed')} and {socket.gethostname()}, where the command was given, "
                f"has {here}: install the same version on every node"
            )
    return None
