"""Makes the site of mkdocs.yml: pages from outside docs/, links out of it, the API reference."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import mobilenetdet

ROOT = Path(__file__).resolve().parents[1]
# Files at the top of the repository that are pages of the site, and where.
TOP_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the pages that nav does not list under "More"."""
    listed = set(re.findall(r"[\w/]+\.md", str(config.nav)))
    pages = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    if more := [name for name in pages if name not in listed]:
        config.nav = [*(config.nav or []), {"More": more}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are not in docs/."""
    for name, page in TOP_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text()))
    files.append(File.generated(config, "api.md", content=api_page()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Leads links between files of the repository to pages of the site."""
    return rewrite_links(markdown, page.file.src_uri)


def rewrite_links(markdown: str, page: str) -> str:
    """Leads links to pages and pictures of the site; one to any other file becomes its text.

    Args:
        markdown: the page as it lies in the repository.
        page: its name on the site.
    """
    folder = "" if page in TOP_PAGES.values() else "docs"

    def replace(match: re.Match[str]) -> str:
        """Returns the link as the site has it."""
        picture, text, target, anchor = match.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        if not (ROOT / path).exists():
            return match.group()  # a wrong link, which mkdocs names
        if path not in TOP_PAGES and not path.startswith("docs/"):
            return text if "`" in text else f"`{text}`"
        if text == target and not picture:
            text = _title(path)  # no one on the site knows the name of the file
        place = TOP_PAGES.get(path, path.removeprefix("docs/"))
        return f"{picture}[{text}]({place}{anchor or ''})"

    return _LINK.sub(replace, markdown)


def _title(path: str) -> str:
    """Returns the first heading of a page."""
    first = (ROOT / path).read_text().split("\n", 1)[0]
    return first.removeprefix("# ")


def api_page() -> str:
    """Returns the page of the public names, in Markdown."""
    names = [name for name in mobilenetdet.__all__ if not name.startswith("__")]
    functions = [name for name in names if name.islower()]
    classes = [name for name in names if not name.islower()]
    intro = (
        "# Reference\n\nThe public names of `import mobilenetdet as md`: functions, then types.\n"
    )
    parts = [f"::: mobilenetdet.{name}\n" for name in functions + classes]
    return "\n".join([intro, *parts])
