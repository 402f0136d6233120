"""What version of rlbench this is, as a store notes who wrote to it."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path


@cache
def package_version() -> str:
    """The installed version of rlbench; from a git checkout with its revision, and `.dirty` where the package was changed since."""
    try:
        version = metadata.version("rlbench")
    except metadata.PackageNotFoundError:
        version = "0+unknown"
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():
        return version
    git = ["git", "-C", str(package.parent)]
    try:
        asked = [[*git, "rev-parse", "--short=12", "HEAD"], [*git, "status", "--porcelain", "--", str(package)]]
        revision, changes = (
            subprocess.run(one, capture_output=True, text=True, check=True).stdout.strip() for one in asked
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or a checkout that it will not read
        return version
    return f"{version}{'.' if '+' in version else '+'}g{revision}{'.dirty' if changes else ''}"
