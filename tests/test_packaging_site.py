"""The documentation as a site."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

import mobilenetdet as md

ROOT = Path(__file__).resolve().parents[1]
pytest.importorskip("material", reason="the extra [docs] is not installed")


def _hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs/site_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a link, an anchor or a docstring that is wrong is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_in_the_menu(site: Path):
    home = (site / "index.html").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / page.stem / "index.html").is_file()
        assert f'href="{page.stem}/"' in home, f"{page.name} is not in the menu"
    assert not list(site.rglob("*.py"))


def test_every_public_name_is_in_the_reference(site: Path):
    ids = set(re.findall(r'id="([\w.]+)"', (site / "api/index.html").read_text()))
    for name in set(md.__all__) - {"__version__"}:
        assert f"mobilenetdet.{name}" in ids
    assert "mobilenetdet.Detections.above" in ids


def test_pictures_and_links_lead_somewhere(site: Path):
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its links begin at the root of the site
            continue
        for target in re.findall(r'(?:href|src)="([^"#:]+)(?:#[^"]*)?"', page.read_text()):
            place = page.parent / unquote(target)
            assert place.is_file() or (place / "index.html").is_file(), f"{page}: {target}"


@pytest.mark.parametrize(
    ("page", "before", "after"),
    [
        ("index.md", "[a](docs/scale.md)", "[a](scale.md)"),
        ("index.md", "[docs/scale.md](docs/scale.md)", "[More than one device](scale.md)"),
        ("index.md", "![a](docs/images/yellowfin.png)", "![a](images/yellowfin.png)"),
        ("index.md", "[the code](mobilenetdet/boxes)", "`the code`"),
        ("index.md", "[a](https://example.org/docs/x.md)", "[a](https://example.org/docs/x.md)"),
        ("index.md", "[a](#results)", "[a](#results)"),
        ("index.md", "[a](docs/no_such_page.md)", "[a](docs/no_such_page.md)"),
        ("speed.md", "[a](results.md#size)", "[a](results.md#size)"),
        ("speed.md", "[home](../README.md#python)", "[home](index.md#python)"),
        ("speed.md", "[`x.py`](../mobilenetdet/boxes/coding.py)", "`x.py`"),
        ("CONTRIBUTING.md", "[a](docs/scale.md), [b](README.md)", "[a](scale.md), [b](index.md)"),
    ],
)
def test_links_between_files_become_links_between_pages(page, before, after):
    assert _hooks().rewrite_links(before, page) == after


def test_a_page_that_is_not_listed_is_added(tmp_path: Path, monkeypatch):
    from mkdocs.config.defaults import MkDocsConfig

    hooks = _hooks()
    (tmp_path / "docs").mkdir()
    for name in ("old.md", "new.md"):
        (tmp_path / "docs" / name).touch()
    monkeypatch.setattr(hooks, "ROOT", tmp_path)
    config = MkDocsConfig()
    config.nav = [{"Start": "index.md"}, {"Part": [{"Old": "old.md"}]}]
    assert hooks.on_config(config).nav[-1] == {"More": ["new.md"]}
