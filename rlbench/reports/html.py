"""A report as one HTML page that stands alone.

In: a `Report`. Out: HTML. Everything that is not markup of the templates is escaped. Never: asks for anything outside.
"""

from __future__ import annotations

import json

import jinja2
from markupsafe import Markup, escape

from rlbench.plain_text import printable
from rlbench.reports.document import Report


def html_page(report: Report) -> str:
    """The page; figures are inline and all styles are in it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rlbench.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = breakable
    environment.filters["as_json"] = json.dumps  # in an attribute, and escaped as one
    return printable(environment.get_template("report.html.j2").render(report=report))


def breakable(name: str) -> Markup:
    """A name as HTML that may break after its underscores rather than anywhere."""
    return Markup(escape(name).replace("_", Markup("_<wbr>")))
