"""One process writes in a folder; a lock of a dead one is worth nothing."""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from mobilenetdet.files import folder_lock as module
from mobilenetdet.files.folder_lock import LOCK_FILE, folder_lock
from mobilenetdet.files.output_folder import MANIFEST_FILE, OutputFolder
from mobilenetdet.system.threads import call_behind


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_second_writer_is_refused_with_the_name_of_the_first(other_writer, tmp_path):
    host = socket.gethostname()
    words = rf"out: process {other_writer.pid} on {host} is writing here since \d\d:\d\d; wait"
    with pytest.raises(FileExistsError, match=words), folder_lock(tmp_path / "out"):
        pytest.fail("the block must not run")
    output = OutputFolder(tmp_path / "out")
    for refused in (output.writing("a.txt"), output.replacing("*.txt"), output.locked()):
        with pytest.raises(FileExistsError, match="is writing here"), refused:
            pytest.fail("the block must not run")
    assert names(tmp_path / "out") == [LOCK_FILE]


def test_a_lock_of_a_killed_process_is_taken_over(other_writer, tmp_path):
    other_writer.kill()
    other_writer.wait()
    assert names(tmp_path / "out") == [LOCK_FILE]
    with folder_lock(tmp_path / "out"):
        assert json.loads((tmp_path / "out" / LOCK_FILE).read_text())["pid"] == os.getpid()
    assert names(tmp_path / "out") == []


def test_a_patient_writer_says_what_it_waits_for(other_writer, tmp_path, monkeypatch, capsys):
    def end_the_other(seconds):
        other_writer.stdin.close()
        other_writer.wait()

    monkeypatch.setattr(module.time, "sleep", end_the_other)
    with folder_lock(tmp_path / "out", wait=True) as is_outermost:
        assert is_outermost
    assert f"out: process {other_writer.pid} on" in capsys.readouterr().out


def test_blocks_of_one_process_are_nested(tmp_path):
    with folder_lock(tmp_path) as outer:
        with folder_lock(tmp_path / "." / "") as inner:
            assert (outer, inner) == (True, False)
        assert names(tmp_path) == [LOCK_FILE]
    assert names(tmp_path) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_failure_leaves_no_lock_and_no_folder_that_it_made(tmp_path, failure):
    with pytest.raises(failure), folder_lock(tmp_path / "a/b"):
        raise failure
    assert names(tmp_path) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(failure), folder_lock(tmp_path / "mine"):
        raise failure
    with pytest.raises(failure), folder_lock(tmp_path / "half"):
        (tmp_path / "half/result.txt").touch()
        raise failure
    assert names(tmp_path) == ["half", "mine"] and names(tmp_path / "half") == ["result.txt"]


def test_a_full_disk_is_named_and_leaves_no_lock(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write_owner", fail)
    with pytest.raises(OSError) as error, folder_lock(tmp_path / "out"):
        pytest.fail("the block must not run")
    assert error.value.filename == str(tmp_path / "out" / LOCK_FILE)
    assert names(tmp_path) == []


def write_lock(folder, **changes):
    owner = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "boot": module._boot(),
        "since": "2020-02-03T04:05:06",
    }
    (folder / LOCK_FILE).write_text(json.dumps(owner | changes))


def test_a_writer_on_another_machine_is_believed(tmp_path):
    write_lock(tmp_path, host="elsewhere", boot="another", pid=4711)
    words = "process 4711 on elsewhere is writing here since 2020-02-03 04:05.*if it is gone, "
    with pytest.raises(FileExistsError, match=words + "remove .*lock"), folder_lock(tmp_path):
        pytest.fail("the block must not run")


@pytest.mark.parametrize(
    "changes",
    [
        {"boot": "the boot before"},  # this machine was started again
        {"host": "a container that is gone"},  # on this machine
        {"since": "not a time"},
        {"unknown": 1},
    ],
)
def test_what_cannot_be_writing_any_more_is_taken_over(tmp_path, changes):
    write_lock(tmp_path, **changes)
    with folder_lock(tmp_path):
        assert module._read_owner(os.open(tmp_path / LOCK_FILE, os.O_RDONLY)).host
    assert names(tmp_path) == []


@pytest.mark.parametrize(("running", "held"), [(True, True), (False, False)])
def test_without_locks_of_the_system_the_process_number_decides(
    tmp_path, monkeypatch, running, held
):
    monkeypatch.setattr(module, "fcntl", None)
    monkeypatch.setattr(module, "is_running", lambda pid: running)
    write_lock(tmp_path)
    taken = module._take(tmp_path / LOCK_FILE)
    assert isinstance(taken, module.Owner) == held
    if not held:
        os.close(taken)
        return
    # Nobody knows whether that process writes here, or one that came after it.
    with pytest.raises(FileExistsError, match=f"remove {tmp_path / LOCK_FILE}"):
        module._enter(tmp_path, str(tmp_path), wait=False)


def test_a_file_that_was_let_go_of_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """The first writer ends between the opening of the file and the locking of it."""
    answers = iter([False, True])
    monkeypatch.setattr(module, "_is_at", lambda path, descriptor: next(answers))
    with folder_lock(tmp_path):
        assert names(tmp_path) == [LOCK_FILE]
    assert list(answers) == []


def test_an_output_folder_sees_what_another_process_wrote_before_its_turn(tmp_path):
    early = OutputFolder(tmp_path)
    with OutputFolder(tmp_path).writing("a.txt") as path:
        path.write_text("of the other")
    with early.writing("a.txt") as path:
        path.write_text("newer")
    assert (tmp_path / "a.txt").read_text() == "newer"


def test_the_time_of_today_goes_without_its_date():
    now = datetime.now().replace(hour=12, minute=3)
    owner = module.Owner(4711, "HOST", "", now.isoformat())
    assert str(owner) == "process 4711 on HOST is writing here since 12:03"


@pytest.mark.parametrize("name", [LOCK_FILE, MANIFEST_FILE])
def test_what_a_link_leads_to_is_not_written(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(victim)
    with pytest.raises(FileExistsError, match=f"{name} is .*remove it"):
        write(tmp_path / "out")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", [LOCK_FILE, MANIFEST_FILE])
def test_a_pipe_in_the_place_of_a_file_does_not_hang(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(FileExistsError, match=f"{name} is no regular file.*remove it"):
        write(tmp_path)


def write(folder: Path) -> None:
    with OutputFolder(folder).writing("a.txt") as path:
        path.write_text("a")


def test_another_thread_is_another_writer(tmp_path):
    with ThreadPoolExecutor(1) as pool, folder_lock(tmp_path):
        refused = pool.submit(write, tmp_path).exception()
        # A thread that works for the holder of the lock writes as it does.
        with call_behind(write, most=1) as submit:
            submit(tmp_path)
    assert isinstance(refused, FileExistsError)
    assert f"process {os.getpid()} on" in str(refused) and "is writing here" in str(refused)
    assert names(tmp_path) == [MANIFEST_FILE, "a.txt"]
    write(tmp_path)
