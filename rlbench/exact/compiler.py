"""Which C++ compiler builds the operators and what is compiled. Without torch: a dry run asks too."""

import os
import shutil

from rlbench.errors import ConfigError


def compiler() -> str | None:
    """The C++ compiler: the one that `CXX` names, else g++ or clang++; None where there is none, or with `RLBENCH_COMPILER=none`.

    Raises ConfigError where `CXX` names none: without a compiler all is many times slower, which nobody asks for by a slip.
    """
    if os.environ.get("RLBENCH_COMPILER") == "none":
        return None
    wanted = os.environ.get("CXX")
    if wanted and shutil.which(wanted) is None:
        raise ConfigError(
            f"CXX is {wanted!r}, which is no program here; name one C++ compiler without options, unset CXX to use g++ or"
            " clang++, or set RLBENCH_COMPILER=none (the same numbers, many times slower)"
        )
    found = (shutil.which(name) for name in ((wanted,) if wanted else ("g++", "clang++")))
    return next((path for path in found if path), None)
