"""Where a store lies: a folder, or the URL of an object store.

In: what somebody typed. Out: a path or a `Url`. Must never let a secret pass: an address is shown, stored and logged.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from rlbench.errors import ConfigError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PLAIN = re.compile(r"[\w.=+-]+(/[\w.=+ -]+)*")


class Url(str):
    """The address of a store in an object store: `protocol://bucket/prefix`. Made by `place_of`."""

    __slots__ = ()

    @property
    def protocol(self) -> str:
        return self.partition("://")[0]

    @property
    def beside(self) -> Path:
        """The local folder for what lies beside the results of this store: reports, films, a tracker's own files."""
        return Path(self.protocol, *self.partition("://")[2].split("/"))

    def absolute(self) -> Url:
        """As paths have it: it means the same everywhere."""
        return self


Place = Path | Url


def place_of(place: str | os.PathLike[str]) -> Place:
    """The place that this names. Raises ConfigError for a URL with secrets in it, and for what is none."""
    matched = _URL.fullmatch(os.fspath(place))
    if matched is None:
        if "://" in os.fspath(place):
            raise ConfigError("store=...://...: an address is PROTOCOL://BUCKET/PREFIX, of plain names")
        return Path(place)
    protocol, rest = matched[1].lower(), matched[2].rstrip("/")
    if re.search(r"[@?#]", rest):
        raise ConfigError(
            f"store={protocol}://...: an address holds no user, key or option; credentials come from the environment"
            " or the files where the protocol's package looks for them"
        )
    if protocol == "file":
        raise ConfigError(f"store={protocol}://...: give a folder of this machine as a path")
    if not _PLAIN.fullmatch(rest) or {".", ".."} & set(rest.split("/")):
        raise ConfigError(f"store={protocol}://...: an address is {protocol}://BUCKET/PREFIX, of plain names")
    return Url(f"{protocol}://{rest}")


def beside(place: Place) -> Path:
    """The local folder for what lies beside a store's results: its own, where it is one."""
    return place.beside if isinstance(place, Url) else place


def is_remote(place: Place) -> bool:
    """Whether it is no folder."""
    return isinstance(place, Url)
