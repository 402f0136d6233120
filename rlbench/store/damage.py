"""What was found damaged, missing or foreign in a store while it was read: one line for each thing.

In: where it is and what is wrong with it. Out: the lines, in the order in which they were found. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from rlbench.errors import StoreError
from rlbench.untold import collects


class Damage:
    """The findings of one reader of a store; the same thing is told once.

    say: called with every new line, for those who cannot wait until the end.
    """

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        self._say = say
        self._lines: dict[str, bool] = {}  # whether it has been told
        self._rows: dict[str, None] = {}
        collects(self.untold)

    @property
    def lines(self) -> list[str]:
        """What was found so far."""
        return list(self._lines)

    @property
    def lost_rows(self) -> list[str]:
        """The parts whose rows could not be read."""
        return list(self._rows)

    def note(self, text: str) -> None:
        """Something is wrong, in one line."""
        if text not in self._lines:
            self._lines[text] = self._say is not None
            if self._say is not None:
                self._say(text)

    def untold(self) -> list[str]:
        """The lines that nobody has told; from now on they count as told."""
        new = [line for line, is_told in self._lines.items() if not is_told]
        self._lines.update(dict.fromkeys(new, True))
        return new

    def note_error(self, error: StoreError) -> None:
        """Something could not be read, and what does not need it goes on."""
        self.note(str(error))

    def note_part(self, where: str, error: StoreError) -> None:
        """The rows of a part are lost."""
        self._rows[where] = None
        self.note(f"{error}; its rows are left out")
