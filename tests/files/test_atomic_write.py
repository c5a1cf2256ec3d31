import os
import subprocess
import sys
import threading
import time

import pytest

from mobilenetdet.files.atomic_write import (
    atomic_folder,
    atomic_write,
    final_names,
    is_running,
    remove_temporary,
    temporary_path,
)


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("name", ["file.txt", "x" * 255, "é" * 120])
def test_two_writers_of_one_file_have_temporary_files_of_their_own(tmp_path, name):
    path = tmp_path / name
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert first != second
    assert path.read_text() == "first"  # the last to end


def test_threads_do_not_disturb_each_other(tmp_path):
    def write(text):
        with atomic_write(tmp_path / "file.txt") as temporary:
            temporary.write_text(text * 1000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set((tmp_path / "file.txt").read_text())) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("durable", [True, False])
def test_the_file_and_then_its_folder_reach_the_disk(tmp_path, monkeypatch, durable):
    done = []
    replace, fsync = os.replace, os.fsync

    def note_fsync(descriptor):
        target = os.readlink(f"/proc/self/fd/{descriptor}")
        done.append("folder" if target == str(tmp_path.resolve()) else "file")
        fsync(descriptor)

    def note_replace(source, target):
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    with atomic_write(tmp_path / "file.txt", durable=durable) as temporary:
        temporary.write_text("text")
    assert done == (["file", "rename", "folder"] if durable else ["rename"])


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    script = (
        "import os, pathlib, sys\n"
        "from mobilenetdet.files.atomic_write import atomic_write, temporary_path\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "staging = temporary_path(folder / 'new'); staging.mkdir(); (staging / 'a').touch()\n"
        "with atomic_write(folder / 'file.txt') as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    running = temporary_path(tmp_path / "other.txt")
    running.write_text("of this process")
    foreign = tmp_path / ".notes.txt.1234.tmp"
    foreign.write_text("of another program")
    assert len(list(tmp_path.iterdir())) == 4
    with atomic_write(tmp_path / "next.txt") as temporary:
        temporary.write_text("whole")
    assert {p.name for p in tmp_path.iterdir()} == {"next.txt", running.name, foreign.name}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_process_that_nobody_has_waited_for_is_not_running():
    """As those that lose their parent in a container without init."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    while is_running(ended.pid):
        time.sleep(0.01)
    os.kill(ended.pid, 0)  # it is there for the system
    ended.wait()
    assert is_running(os.getpid()) and is_running(1)
    assert not any(map(is_running, (0, -1, 10**20)))


def test_only_temporary_names_are_removed(tmp_path):
    (tmp_path / "precious.tmp").touch()
    with pytest.raises(ValueError, match=r"precious\.tmp is no temporary"):
        remove_temporary(tmp_path / "precious.tmp")
    assert (tmp_path / "precious.tmp").exists()


@pytest.mark.parametrize("name", ["a.json", "best weights.h5"])
def test_messages_name_the_file_that_a_temporary_one_becomes(tmp_path, name):
    path = tmp_path / name
    temporary = temporary_path(path)
    assert (
        final_names(f"'{temporary}' is full, {temporary}: too") == f"'{path}' is full, {path}: too"
    )
    assert final_names(f"{path} is no .tmp") == f"{path} is no .tmp"


def test_a_folder_is_whole_or_not_there(tmp_path):
    target = tmp_path / "deep/new"
    with pytest.raises(ZeroDivisionError), atomic_folder(target) as folder:
        (folder / "a").write_text("a")
        assert not target.exists()
        raise ZeroDivisionError
    assert list(target.parent.iterdir()) == []
    target.mkdir()  # an empty one is filled
    with atomic_folder(target) as folder:
        (folder / "a").write_text("a")
        assert list(target.iterdir()) == []
    assert [path.name for path in target.parent.iterdir()] == ["new"]
    assert (target / "a").read_text() == "a"


def test_a_folder_of_others_stays(tmp_path):
    target = tmp_path / "new"
    with pytest.raises(FileExistsError, match="is not empty"), atomic_folder(target) as folder:
        (folder / "a").write_text("ours")
        target.mkdir()
        (target / "b").write_text("theirs")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert [path.name for path in target.iterdir()] == ["b"]
    (tmp_path / "link").symlink_to(target)
    for name, message in (("new", "not empty"), ("new/b", "is a file"), ("link", "is a link")):
        with pytest.raises(FileExistsError, match=message), atomic_folder(tmp_path / name):
            pass


def test_errors_name_the_file_as_it_would_be_in_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_folder(tmp_path / "new") as folder:
        (folder / "absent/a").write_text("a")
    assert caught.value.filename == str(tmp_path / "new/absent/a")
