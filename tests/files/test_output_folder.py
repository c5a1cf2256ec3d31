"""What a command writes, beside what others keep in the same folder."""

import json
import os
import zlib

import pytest

from mobilenetdet.files.output_folder import MANIFEST_FILE, OutputFolder

# Every kind of thing that may lie in a folder.
FOREIGN = ("notes.txt", "holiday.jpg", ".hidden", "best.weights.h5", "sub/deep/data.bin")


@pytest.fixture
def folder(tmp_path):
    """A folder of a user, with a link and an empty folder as well."""
    root = tmp_path / "mine"
    for name in FOREIGN:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f"mine: {name}".encode())
    (root / "empty").mkdir()
    (tmp_path / "elsewhere.txt").write_text("linked")
    (root / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    return root


def assert_foreign_files_are_whole(root):
    for name in FOREIGN:
        assert (root / name).read_bytes() == f"mine: {name}".encode()
    assert (root / "empty").is_dir() and (root / "link.txt").is_symlink()
    assert (root / "link.txt").read_text() == "linked"


def write(root, names, *, pattern="*.jpg", overwrite=False, text="ours"):
    with OutputFolder(root, overwrite=overwrite).replacing(pattern) as staging:
        for name in names:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_text(text)


def test_own_files_are_replaced_and_stale_ones_removed(folder):
    write(folder, ["1.jpg", "2.jpg"])
    write(folder, ["2.jpg", "3.jpg"], text="newer")
    assert not (folder / "1.jpg").exists()
    assert (folder / "2.jpg").read_text() == (folder / "3.jpg").read_text() == "newer"
    assert_foreign_files_are_whole(folder)


def test_files_of_another_pattern_stay(folder):
    write(folder, ["detections/1.txt"], pattern="detections/*")
    write(folder, ["1.jpg"])
    assert (folder / "detections/1.txt").exists()
    write(folder, [], pattern="detections/*")
    assert not (folder / "detections/1.txt").exists() and (folder / "1.jpg").exists()


@pytest.mark.parametrize("name", ["holiday.jpg", "link.txt", "sub/deep/data.bin"])
def test_a_foreign_file_of_the_same_name_is_refused_and_nothing_is_written(folder, name):
    with pytest.raises(FileExistsError, match=rf"{name} is there.*another place.*--overwrite"):
        write(folder, ["new.jpg", name])
    assert not (folder / "new.jpg").exists()
    assert_foreign_files_are_whole(folder)
    write(folder, [name], overwrite=True)
    assert (folder / name).read_text() == "ours"
    assert (folder.parent / "elsewhere.txt").read_text() == "linked"


def test_an_own_file_that_was_edited_is_the_users(folder):
    write(folder, ["1.jpg", "2.jpg"])
    (folder / "1.jpg").write_text("edited")
    with pytest.raises(FileExistsError, match="1.jpg"):
        write(folder, ["1.jpg"])
    write(folder, ["3.jpg"])  # 2.jpg is stale, and 1.jpg no longer ours
    assert (folder / "1.jpg").read_text() == "edited" and not (folder / "2.jpg").exists()


def test_a_failure_changes_nothing(folder):
    write(folder, ["1.jpg"])
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt), OutputFolder(folder).replacing("*.jpg") as staging:
        (staging / "1.jpg").write_text("half")
        raise KeyboardInterrupt
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("how", ["replacing", "writing"])
@pytest.mark.parametrize("moved", [0, 1])
def test_a_kill_between_files_makes_no_own_file_foreign(folder, monkeypatch, how, moved):
    def write_both(text):
        if how == "replacing":
            write(folder, ["1.jpg", "2.jpg"], text=text)
        else:
            for name in ("1.jpg", "2.jpg"):
                with OutputFolder(folder).writing(name) as path:
                    path.write_text(text)

    write_both("older")
    replace, moves = os.replace, []

    def replace_until_killed(source, target):
        if os.path.basename(target).endswith(".jpg"):
            if len(moves) == moved:
                raise KeyboardInterrupt
            moves.append(target)
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", replace_until_killed)
        write_both("new")
    assert [(folder / name).read_text() for name in ("1.jpg", "2.jpg")] == [
        "new" if moved else "older",
        "older",
    ]
    write_both("newest")
    assert (folder / "1.jpg").read_text() == (folder / "2.jpg").read_text() == "newest"
    assert_foreign_files_are_whole(folder)


def test_a_line_that_a_full_disk_has_cut_off_does_not_spoil_the_next(folder):
    write(folder, ["1.jpg"])
    with (folder / MANIFEST_FILE).open("a") as manifest:
        manifest.write('["2.jpg", 4')
    with OutputFolder(folder).writing("3.jpg") as path:
        path.write_text("ours")
    assert OutputFolder(folder).is_own("3.jpg") and OutputFolder(folder).is_own("1.jpg")


def test_a_failure_names_the_place_that_a_file_was_for(folder):
    with pytest.raises(OSError) as error, OutputFolder(folder).replacing("*.jpg") as staging:
        raise OSError(28, "No space left on device", str(staging / "plots/1.jpg"))
    assert error.value.filename == str(folder / "plots/1.jpg")


def test_files_that_are_given_up_are_the_users(folder):
    write(folder, ["1.jpg", "2.jpg"])
    OutputFolder(folder).disown(["1.jpg"])
    assert not OutputFolder(folder).is_own("1.jpg") and OutputFolder(folder).is_own("2.jpg")
    OutputFolder(folder).disown(["2.jpg"])
    assert not (folder / MANIFEST_FILE).exists() and (folder / "2.jpg").exists()


def test_single_files_are_own_once_they_are_written(folder):
    for text in ("first", "second"):
        with OutputFolder(folder).writing("new/a.txt") as path:
            path.write_text(text)
    assert (folder / "new/a.txt").read_text() == "second"
    with (
        pytest.raises(FileExistsError, match="notes.txt"),
        OutputFolder(folder).writing("notes.txt"),
    ):
        pytest.fail("the block must not run")
    assert_foreign_files_are_whole(folder)


def test_names_are_checked_before_long_work(folder):
    OutputFolder(folder).refuse_foreign(["new.json"])
    with pytest.raises(FileExistsError, match="notes.txt"):
        OutputFolder(folder).refuse_foreign(["new.json", "notes.txt"])
    OutputFolder(folder, overwrite=True).refuse_foreign(["notes.txt"])


def test_a_line_of_the_manifest_that_was_cut_off_makes_its_file_foreign(folder):
    write(folder, ["1.jpg", "2.jpg"])
    manifest = folder / MANIFEST_FILE
    lines = manifest.read_text().splitlines()
    manifest.write_text(f"{lines[0]}\n{lines[1][:-5]}")
    output = OutputFolder(folder)
    assert [output.is_own(json.loads(lines[0])[0]), output.is_own("2.jpg")] == [True, False]


def test_a_copy_of_the_folder_is_as_own_as_the_folder(folder, tmp_path):
    write(folder, ["1.jpg"])
    os.rename(folder, tmp_path / "moved")
    write(tmp_path / "moved", ["1.jpg"], text="newer")
    assert (tmp_path / "moved/1.jpg").read_text() == "newer"


@pytest.mark.parametrize(
    "name", ["../escaped.txt", "/tmp/escaped.txt", "a/../../escaped.txt", ".x"]
)
def test_nothing_is_written_outside(tmp_path, name):
    folder = OutputFolder(tmp_path / "out", overwrite=True)
    with pytest.raises(ValueError, match="holds neither|begins with a dot|is empty"):
        with folder.writing(name) as path:
            path.write_text("escaped")
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_manifest_with_a_path_out_of_the_folder_removes_nothing(tmp_path):
    (tmp_path / "victim.jpg").write_text("theirs")
    (tmp_path / "out").mkdir()
    checksum = zlib.crc32(b"theirs")
    line = json.dumps(["../victim.jpg", 6, checksum])
    (tmp_path / "out" / MANIFEST_FILE).write_text(f"{line}\n[1, 2, 3]\n")
    write(tmp_path / "out", ["new.jpg"])
    assert (tmp_path / "victim.jpg").read_text() == "theirs"
