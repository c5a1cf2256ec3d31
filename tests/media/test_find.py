"""Folders in folders."""

from pathlib import Path

import pytest

from mobilenetdet.media.find import find_files, find_media
from mobilenetdet.output_folder import OutputFolder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.jpg", "x/a.png", "x/y/c.mp4", ".hidden/d.jpg", "x/notes.txt", "x/._a.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def names(paths: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_folders_in_folders_are_looked_into_if_asked_to(tree: Path):
    assert names(find_files([str(tree)]), tree) == ["b.jpg"]
    assert names(find_files([str(tree)], recursive=True), tree) == ["b.jpg", "x/a.png", "x/y/c.mp4"]


def test_what_this_program_has_written_is_no_input(tree: Path):
    with OutputFolder(tree / "predictions").writing("overlays/b.jpg") as path:
        path.write_bytes(b"drawn")
    assert "predictions/overlays/b.jpg" not in names(find_files([str(tree)], recursive=True), tree)
    # Unless it is named.
    asked = find_files([str(tree / "predictions")], recursive=True)
    assert names(asked, tree) == ["predictions/overlays/b.jpg"]


def test_an_empty_folder_with_folders_names_the_option(tree: Path):
    (tree / "b.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="--recursive looks into the folders in it"):
        find_files([str(tree)])


def test_files_and_addresses_keep_their_order_and_come_once(tree: Path):
    url = "http://host/a.jpg"
    found = find_media([url, str(tree / "b.jpg"), url, str(tree)])
    assert [str(each) for each in found] == [url, str(tree / "b.jpg")]
