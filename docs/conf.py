"""The site: the pages of this folder, and a reference made from the docstrings. `make docs` builds it; a warning is an error.

Needs no network. README, CHANGELOG and CONTRIBUTING are pages by inclusion, so that nothing is written twice.
"""

import dataclasses
import importlib.metadata
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import rlbench
import rlbench.report
import rlbench.run
from rlbench import exact
from rlbench.config import groups

project = "rlbench"
author = "the rlbench authors"
project_copyright = author
release = version = importlib.metadata.version("rlbench")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = False  # annotations name classes of torch and pandas, whose sites are not asked
suppress_warnings = ["myst.header"]  # a page may begin its second part with a title of its own

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

default_role = "code"  # docstrings write `name` as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"rlbench {release}"
html_show_sourcelink = False
html_copy_source = False

# A module that can be called is shown as the function that it is.
rlbench.run = getattr(rlbench.run, "run", rlbench.run)  # type: ignore[assignment]
rlbench.report = getattr(rlbench.report, "report", rlbench.report)  # type: ignore[attr-defined]
for lazy in exact.__all__:  # imported when they are asked for
    getattr(exact, lazy)


def keep_signs(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Stars and bars of a docstring are of a shape or a number, and no emphasis; code is left as it is."""
    lines[:] = [re.sub(r"(`[^`]*`)|([*|])", lambda found: found[1] or "\\" + found[2], line) for line in lines]


def add_fields(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Add the fields of a choice to its docstring: each with its default, its bound and what it means, as `--help` has them."""
    if what != "class" or not dataclasses.is_dataclass(thing):
        return
    for field in dataclasses.fields(thing):
        told = field.metadata
        if told.get("meaning"):
            bound = told.get("bound") or " | ".join(told.get("allowed", ()))
            facts = [f"``{field.default!r}``", f"``{bound}``" if bound else "", told["role"]]
            lines += ["", f"`{field.name}` ({', '.join(fact for fact in facts if fact)})", f"    {told['meaning']}"]


class Members(SphinxDirective):
    """Every member of every group, from the registry: a section a group, a class a member."""

    def run(self) -> list[nodes.Node]:
        text: list[str] = []
        for group, classes in groups.CLASSES.items():
            text += [group, "-" * len(group), "", f"What it is: {groups.MEANINGS[group]}.", ""]
            for cls in classes:
                names = (f"``{group}={name}``" for name, one in groups.members(group).items() if type(one) is cls)
                text += [", ".join(names), "", f".. autoclass:: {cls.__module__}.{cls.__qualname__}()", ""]
        return self.parse_text_to_nodes("\n".join(text), allow_section_headings=True)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", keep_signs)
    app.connect("autodoc-process-docstring", add_fields)
    app.add_directive("members", Members)
