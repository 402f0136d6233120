"""A table as LaTeX, with booktabs' rules, to be read with \\input.

In: a `Table`. Out: a tabular environment. Every name is escaped.
"""

from __future__ import annotations

from rlbench.plain_text import one_line
from rlbench.reports.document import Line, Table, plain

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "±": r"$\pm$", "−": r"$-$", "–": r"--",
    "\N{NO-BREAK SPACE}": "~",
}  # fmt: skip


def latex_table(table: Table) -> str:
    """The tabular alone, so that caption and label stay with whoever cites it; needs \\usepackage{booktabs}."""
    alignment = "".join("l" if column.is_text else "r" for column in table.columns)
    lines = [
        f"% {one_line(table.label)}; needs \\usepackage{{booktabs}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
    ]
    lines += [_row([latex_text(column.title.strip()) for column in table.columns]), r"\midrule"]
    for place, (group, rows) in enumerate(table.groups):
        lines += [r"\addlinespace"] if place else []
        if group:
            lines.append(rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\textit{{{latex_text(group)}}}}} \\")
        lines += [_row([_cell(cell) for cell in row]) for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def latex_text(text: str) -> str:
    """Literal text."""
    return "".join(_ESCAPES.get(letter, letter) for letter in one_line(text))


def _cell(cell: Line) -> str:
    told = latex_text(plain(cell))
    return rf"\textbf{{{told}}}" if cell and all(part.kind == "strong" for part in cell) else told


def _row(cells: list[str]) -> str:
    # A row that begins with a bracket would be read as the argument of the one before it.
    return " & ".join("{}" + cell if cell.startswith("[") else cell for cell in cells) + r" \\"
