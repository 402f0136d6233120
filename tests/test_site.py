"""The site is built without a warning, its links lead somewhere, and the tutorial's commands print what it says."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import rlbench
from rlbench import exact, stats
from tests.tutorial import BLOCK, MACHINE, PAGE, ROOT, followed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("furo", reason="the site is built with the extra `docs`")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-b", "html"]
    places = ["-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")]
    done = subprocess.run([*build, *places], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "html"


class _Links(HTMLParser):
    """What a page refers to, and the ids that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value and not urlsplit(value).scheme:
                self.links.append(value)


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {path: _Links(path) for path in site.rglob("*.html")}
    assert len(pages) > 15
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (target in pages and unquote(parts.fragment) not in pages[target].ids):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    anchors = set().union(*(_Links(path).ids for path in (site / "api").glob("*.html")))
    shown = {anchor.rpartition(".")[2] for anchor in anchors}
    public = [*rlbench.__all__, *exact.__all__]
    public += [name for name in stats.__all__ if getattr(getattr(stats, name), "__module__", "").startswith("rlbench.")]
    assert len(public) > 60
    assert sorted(set(public) - shown) == []


def test_links_between_pages_work_where_the_repository_is_read() -> None:
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    links = [(path, link) for path in texts for link in re.findall(r"\]\(([^)#:\s]+)[^):]*\)", path.read_text())]
    assert len(links) > 10
    assert [(path.name, link) for path, link in links if not (path.parent / link).exists()] == []


def test_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    """Where the output has changed for a good reason, `python -m tests.tutorial` writes the page anew."""
    seen = []

    def compare(command: str, told: str, printed: str) -> None:
        seen.append(command)
        assert MACHINE.sub("", printed) == MACHINE.sub("", told), command

    followed(PAGE.read_text(), tmp_path, compare)
    assert len(seen) == len([block for block in BLOCK.findall(PAGE.read_text()) if block[0] == "console"]) > 4
