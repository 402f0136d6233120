"""A report as Markdown, with its figures beside it.

In: a `Report`. Out: Markdown. Everything that is not layout is escaped.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from rlbench.plain_text import printable
from rlbench.reports.document import (
    Answer,
    Badges,
    Block,
    Commands,
    Figures,
    Heading,
    Line,
    Paragraph,
    Part,
    Picture,
    Report,
    Table,
    Terms,
)


def markdown_page(report: Report) -> str:
    """The same content as the HTML page."""
    lines = [f"# {markdown_text(report.title)}", ""]
    lines += [_paragraph(markdown_text(report.question)), ""] if report.question else []
    for answer in report.answers:
        lines += [f"- {_answer(answer)}"]
    lines += [""] if report.answers else []
    lines += [_paragraph(markdown_text(report.legend)), ""] if report.legend else []
    lines += [row for picture in report.pictures for row in (*_picture(picture), "")]
    lines += [", ".join(_part_text(part.text, part.tone in ("red", "amber")) for part in report.facts) + ".", ""]
    for section in report.sections:
        lines += [f"## {markdown_text(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def _answer(answer: Answer) -> str:
    told = _paragraph("".join(_part(part) for part in answer.parts).strip())
    return f"**{told}**" if answer.stands_out else told


def _picture(picture: Picture) -> list[str]:
    image = f"![{markdown_text(picture.drawing.summary)}](figures/{picture.stem}.png)"
    return [image, "", _inline(picture.caption)]


def markdown_text(value: object) -> str:
    """A value as literal text in a line or a table cell of Markdown."""
    plain = printable(re.sub(r"\s+", " ", str(value)))
    escaped = re.sub(r"([\\`*\[\]|~$])", r"\\\1", plain)
    escaped = re.sub(r"(?<!\w)_|_(?!\w)", r"\_", escaped)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _paragraph(escaped: str) -> str:
    """Escaped text that begins a line, where it could begin a heading, a list or a rule too."""
    return re.sub(r"^(\d*)([#+=.)-])", r"\1\\\2", escaped)


def _block(block: Block) -> list[str]:
    if isinstance(block, Paragraph):
        return [_inline(block.parts)]
    if isinstance(block, Heading):
        return [f"### {markdown_text(block.text)}"]
    if isinstance(block, Badges):
        return [f"- {_part_text(part.text, True)}" for part in block.parts]
    if isinstance(block, Figures):
        return [row for picture in block.pictures for row in (*_picture(picture), "")][:-1]
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Terms):
        return [f"- {markdown_text(term)}: {_inline(parts)}" for term, parts in block.entries]
    assert isinstance(block, Commands)
    return [row for purpose, command in block.entries for row in (f"To {purpose}:", "", f"    {command}", "")][:-1]


def _table(block: Table) -> list[str]:
    grouped = any(group for group, _ in block.groups)
    heads = [markdown_text(column.title.strip()) for column in block.columns]
    rules = ["---" if column.is_text else "---:" for column in block.columns]
    rows = [
        ([markdown_text(group)] if grouped else []) + [_inline(cell) for cell in row]
        for group, own in block.groups
        for row in own
    ]
    if grouped:
        heads, rules = ["", *heads], ["---", *rules]
    return [
        "| " + " | ".join(heads) + " |",
        "|" + "|".join(rules) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _inline(parts: Line) -> str:
    return "".join(_part(part) for part in parts).strip()


def _part(part: Part) -> str:
    if part.kind == "code":
        # In code nothing can be escaped: what is no plain word stands as text.
        return f"`{part.text}`" if re.fullmatch(r"[\w .,:;=+()/@%-]+", part.text) else markdown_text(part.text)
    if part.kind == "link":
        return f"[{markdown_text(part.text)}]({quote(part.href)})"
    return _part_text(part.text, part.kind in ("badge", "strong", "bad"))


def _part_text(text: str, is_bold: bool) -> str:
    escaped = markdown_text(text)
    if not is_bold or not escaped.strip():
        return escaped
    inner = escaped.strip()
    return escaped.replace(inner, f"**{inner}**", 1)
