"""What a report is made of, before it is HTML, Markdown, CSV or LaTeX: sections of paragraphs, tables and figures.

In: texts and numbers. Out: frozen values that every form is written from. Never: computes, escapes, or draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlbench.reports.canvas import Drawing


@dataclass(frozen=True)
class Part:
    """A piece of a line. `source` is where its number stands in stats.json: "key#field", and `how` it is written."""

    text: str
    kind: str = "text"  # text | strong | badge | code | name | muted | link
    tone: str = ""  # of a badge: red | amber | green | ""
    source: str = ""
    how: str = ""
    value: float | None = None  # the number behind the text, for CSV
    style: int | None = None  # of a name: the index of the variant's colour
    href: str = ""  # of a link: where it leads, relative to the page


Line = tuple[Part, ...]
Content = str | Part | Sequence[str | Part]  # what a line is made from


def line(content: Content) -> Line:
    """Texts and parts as one line."""
    pieces = [content] if isinstance(content, str | Part) else content
    return tuple(Part(piece) if isinstance(piece, str) else piece for piece in pieces)


def plain(parts: Line) -> str:
    """A line as bare text."""
    return "".join(part.text for part in parts)


def strong(text: str) -> Part:
    """Text that stands out."""
    return Part(text, "strong")


def badge(text: str, tone: str = "") -> Part:
    """A short word in a box."""
    return Part(text, "badge", tone)


def code(text: str) -> Part:
    """Text in the type of code."""
    return Part(text, "code")


def link(text: str, href: str) -> Part:
    """Text that leads to a file beside the page."""
    return Part(text, "link", href=href)


@dataclass(frozen=True)
class Paragraph:
    """A line of prose; `tone` note is small print, lead is large, warning stands in a box."""

    parts: Line
    tone: str = ""
    kind: str = "paragraph"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: str = "heading"


@dataclass(frozen=True)
class Badges:
    """A row of badges."""

    parts: Line
    kind: str = "badges"


@dataclass(frozen=True)
class TableColumn:
    """A table's column; a numeric one is aligned to the right."""

    title: str
    is_text: bool = False


@dataclass(frozen=True)
class Table:
    """A table that the page shows. `groups` are (heading, rows); `name` is its file under tables/, if it has one."""

    label: str
    columns: tuple[TableColumn, ...]
    groups: tuple[tuple[str, tuple[tuple[Line, ...], ...]], ...]
    name: str = ""
    kind: str = "table"

    @property
    def rows(self) -> list[tuple[Line, ...]]:
        """All rows, whatever group they are in."""
        return [row for _, rows in self.groups for row in rows]


@dataclass(frozen=True)
class Picture:
    """One figure: its drawing, its file's stem and its caption. `wide` is the same for the page's full width."""

    drawing: Drawing
    stem: str
    caption: Line
    wide: Drawing | None = None
    # For the page's script: of groups of dots their id, label, and runs in order; of lines what is said under the pointer.
    marks: tuple[Mapping[str, Any], ...] = ()
    hover: Mapping[str, Any] | None = None


def captioned(drawing: Drawing, stem: str, title: str, *words: str | Part, wide: Drawing | None = None) -> Picture:
    """A figure whose caption begins with its title, which stands out."""
    return Picture(drawing, stem, line([strong(f"{title}. "), *words]), wide)


@dataclass(frozen=True)
class Figures:
    """Figures side by side where there is room."""

    pictures: tuple[Picture, ...]
    kind: str = "figures"


@dataclass(frozen=True)
class Terms:
    """Terms with what they mean."""

    entries: tuple[tuple[str, Line], ...]
    kind: str = "terms"


@dataclass(frozen=True)
class Commands:
    """Commands with what they are for."""

    entries: tuple[tuple[str, str], ...]
    kind: str = "commands"


Block = Paragraph | Heading | Badges | Table | Figures | Terms | Commands


@dataclass(frozen=True)
class Answer:
    """A sentence of the answer.

    is_decided: whether some of what it says is supported, so that it comes first; is_whole: whether all is. legend: how it is to be read.
    """

    parts: Line
    is_decided: bool = False
    is_whole: bool = False
    legend: str = ""

    @property
    def stands_out(self) -> bool:
        """Whether it may be bold: nothing is that is not supported."""
        return self.is_decided and self.is_whole


def legend_of(answers: Sequence[Answer]) -> str:
    """How these answers are to be read, each thing once."""
    return " ".join(dict.fromkeys(answer.legend for answer in answers if answer.legend))


@dataclass(frozen=True)
class Section:
    """One section of the page: its id, its title, its blocks. One for reference is folded until somebody asks."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    is_reference: bool = False


@dataclass(frozen=True)
class Report:
    """All of a report: what stands above the sections, the sections, the numbers and the plain data tables."""

    title: str
    question: str
    answers: tuple[Answer, ...]
    pictures: tuple[Picture, ...]  # beside the answer
    facts: Line
    sections: tuple[Section, ...]
    statistics: Mapping[str, Mapping[str, Any]]
    variants: tuple[str, ...] = ()  # that the page can leave out of its figures

    @property
    def legend(self) -> str:
        """How the answers are to be read."""
        return legend_of(self.answers)


def table(
    label: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Content]] | Mapping[str, Sequence[Sequence[Content]]],
    *,
    name: str = "",
    texts: Sequence[str] = (),
) -> Table:
    """A table from contents; the first column and those in `texts` hold text. Rows may be a mapping group -> rows."""
    groups = rows if isinstance(rows, Mapping) else {"": rows}
    return Table(
        label,
        tuple(TableColumn(title, place == 0 or title in texts) for place, title in enumerate(columns)),
        tuple((group, tuple(tuple(line(cell) for cell in row) for row in own)) for group, own in groups.items()),
        name,
    )


def note(content: Content) -> Paragraph:
    """Small print."""
    return Paragraph(line(content), "note")


def paragraph(content: Content) -> Paragraph:
    """A plain paragraph."""
    return Paragraph(line(content))


def joined(contents: Sequence[Content], between: str = ", ") -> Line:
    """Several contents as one line."""
    parts: list[Part] = []
    for place, content in enumerate(contents):
        parts += [Part(between)] if place else []
        parts += line(content)
    return tuple(parts)
