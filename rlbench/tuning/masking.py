"""Words without the passwords in them, for everything that is stored or printed.

In: the URL of a storage, or the words of a command. Out: the same with `***` where a secret stood. Knows nothing of Optuna.
"""

import re
from collections.abc import Sequence

MASK = "***"
_SECRET_KEY = re.compile(r"((?:^|[?&;])[^=&;]*(?:pass|pwd|secret|token|key)[^=&;]*=)[^&;]*", re.IGNORECASE)
# Up to the last @, as an unescaped one may be part of the password; a database name or a query may hold none.
_USER_INFO = re.compile(r"(://[^:/@]*):.*@")


def without_secrets(url: str) -> str:
    """The URL with its password masked, and every value of its query whose key sounds like a secret."""
    masked = _USER_INFO.sub(rf"\1:{MASK}@", url)
    head, question, query = masked.partition("?")
    return head + question + _SECRET_KEY.sub(rf"\1{MASK}", query)


def secrets_of(url: str) -> list[str]:
    """What is masked in a URL, as it is typed and as it is meant, longest first."""
    from urllib.parse import unquote

    found = [match[0].partition(":")[2].partition(":")[2][:-1] for match in re.finditer(r"://[^:/@]*:.*@", url)]
    found += [match[0][len(match[1]) :] for match in _SECRET_KEY.finditer(url.partition("?")[2])]
    return sorted({text for one in found for text in (one, unquote(one)) if text}, key=len, reverse=True)


def shown_words(argv: Sequence[str]) -> tuple[str, ...]:
    """The words of a command as they may be stored."""
    return tuple(
        f"storage={without_secrets(word.partition('=')[2])}" if word.startswith("storage=") else word for word in argv
    )
