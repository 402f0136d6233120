r"""Texts from outside as plain text: nothing in them steers a terminal, hides in a page, or fills a screen.

In: any text. Out: text whose letters are all seen; what no eye sees is written out, an escape sequence as \x1b[31m, a turned direction as
\u202e. Never: escapes markup, which the renderers do for theirs.
"""

import re
import unicodedata

MOST_OF_A_WORD, MOST_OF_A_MESSAGE = 300, 4000  # characters that a message repeats of what was typed or read

_UNUSUAL = re.compile(r"[^ -~]")


def printable(text: str) -> str:
    """The text with everything that no eye sees written out; line ends and wide spaces are layout, and stay."""
    return _UNUSUAL.sub(lambda found: found[0] if _is_layout(found[0]) else _shown(found[0]), text)


def escaped(text: str) -> str:
    """The text with every letter that cannot be printed written out, line ends too: what a file says, quoted."""
    return _UNUSUAL.sub(lambda found: _shown(found[0]), text)


def one_line(text: str) -> str:
    """The text, printable and on one line."""
    return escaped(" ".join(text.split()))


def as_message(text: str) -> str:
    """The text on one line of bounded length: long words are cut in the middle, and so is a long whole."""
    words = [word if len(word) <= MOST_OF_A_WORD else f"{word[:200]}...{word[-50:]}" for word in one_line(text).split()]
    line = " ".join(words)
    return line if len(line) <= MOST_OF_A_MESSAGE else f"{line[: MOST_OF_A_MESSAGE - 200]} ... {line[-190:]}"


def _is_layout(letter: str) -> bool:
    return letter == "\n" or unicodedata.category(letter) == "Zs"


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
