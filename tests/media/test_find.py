"""Folders in folders."""

import errno
import os
from pathlib import Path

import pytest

from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.media.find import describe_unread, find_files, find_media


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


def test_a_link_to_nowhere_is_found_so_that_it_can_be_named(tree: Path):
    (tree / "gone.jpg").symlink_to(tree / "nowhere.jpg")
    assert names(find_files([str(tree)]), tree) == ["b.jpg", "gone.jpg"]


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


def test_pictures_of_a_phone_that_are_left_out_are_counted(tree: Path):
    for name in ("IMG_1.HEIC", "IMG_2.heic", "x/c.gif", "._IMG_1.HEIC"):
        (tree / name).write_bytes(b"")
    remedy = "(not read; convert them to JPEG or MP4)"
    assert describe_unread([str(tree), str(tree)]) == [f"{tree}: left out are 2 .heic {remedy}"]
    (line,) = describe_unread([str(tree), "0", "http://host/a.heic"], recursive=True)
    assert line == f"{tree}: left out are 1 .gif, 2 .heic {remedy}"
    assert describe_unread([str(tree / "b.jpg"), str(tree / "x")]) == [
        f"{tree / 'x'}: left out are 1 .gif {remedy}"
    ]


def test_a_folder_or_file_of_an_unread_kind_names_the_remedy(tmp_path: Path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"no image .* but 1 \.heic \(not read; convert"):
        find_files([str(tmp_path)])
    with pytest.raises(ValueError, match=r"HEIC is not read; known are .*; convert it to JPEG"):
        find_files([str(tmp_path / "IMG_1.HEIC")])
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.txt is neither an image nor a video; known [^;]*$"):
        find_files([str(tmp_path / "a.txt")])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**", ["b.jpg", "x/a.png", "x/y/c.mp4"]),
        ("**/*", ["b.jpg", "x/a.png", "x/y/c.mp4"]),
        ("**/*.png", ["x/a.png"]),
        ("x/**", ["x/a.png", "x/y/c.mp4"]),
        ("?/**/c.*", ["x/y/c.mp4"]),
        (".hidden/**", [".hidden/d.jpg"]),
        ("*/*.png", ["x/a.png"]),
        ("x/ring/b.*", ["x/ring/b.jpg"]),
    ],
)
def test_patterns_go_around_no_ring_of_links(tree: Path, pattern: str, expected: list[str]):
    (tree / "x/ring").symlink_to(tree)
    (tree / "x/y/other").symlink_to(tree / "x")
    assert names(find_files([str(tree / pattern)]), tree) == expected


def test_patterns_below_the_working_directory(tree: Path, monkeypatch):
    monkeypatch.chdir(tree)
    assert [str(path) for path in find_files(["**/*.png", "x/**/*.mp4"])] == [
        "x/a.png",
        "x/y/c.mp4",
    ]


def test_a_folder_that_cannot_be_read_is_named(tree: Path, monkeypatch):
    """Root may read any, so the system is made to say no."""
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "y":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(find_files([str(tree)]), tree) == ["b.jpg"]
    with pytest.raises(PermissionError, match="/y"):
        find_files([str(tree)], recursive=True)
