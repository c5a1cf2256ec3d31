"""A keras.json of another program, and an environment for one, are no trouble."""

import os
import threading

import keras
import pytest

from mobilenetdet.models.layers import layer_policy
from mobilenetdet.system import quiet


@pytest.mark.parametrize(
    ("content", "chosen", "told"),
    [
        ('{"backend": "torch"}', "tensorflow", "keras.json names the backend torch; going on with"),
        ('{"backend": "jax"}', None, ""),
        ("{damaged", None, ""),
        ("[]", None, ""),
        (None, None, ""),
    ],
)
def test_a_foreign_backend_in_the_file_gives_way(
    tmp_path, monkeypatch, capsys, content, chosen, told
):
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if content is not None:
        (tmp_path / "keras.json").write_text(content)
    quiet._choose_backend()
    assert (os.environ["KERAS_BACKEND"] or None) == chosen
    assert told in capsys.readouterr().err


def test_who_has_no_home_needs_none(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as without HOME and a user
    quiet._choose_backend()
    assert not os.environ["KERAS_BACKEND"]


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs files in memory")
def test_messages_need_no_folder_for_temporary_files(capfd, monkeypatch):
    monkeypatch.setattr(quiet.tempfile, "TemporaryFile", lambda: pytest.fail("needs a folder"))
    with quiet.output_set_aside(2):
        os.write(2, b"start-up message")
    with pytest.raises(ValueError), quiet.output_set_aside(2):
        os.write(2, b"what failed")
        raise ValueError
    assert capfd.readouterr().err == "what failed"


def test_lines_of_information_are_dropped_and_others_are_not(capfd):
    with quiet.without_info_lines():
        os.write(2, b"INFO: Created a delegate.\nERROR: no memory\nwhat INFO: is\nWARNING: half")
    assert capfd.readouterr().err == "ERROR: no memory\nwhat INFO: is\nWARNING: half"
    with pytest.raises(ValueError), quiet.without_info_lines():
        os.write(2, b"INFO: what failed\n")
        raise ValueError
    os.write(2, b"and after\n")
    assert capfd.readouterr().err == "INFO: what failed\nand after\n"


def test_what_both_streams_said_comes_back_with_a_failure(capfd):
    with quiet.output_set_aside(1, 2):
        os.write(1, b"of no use")
    with pytest.raises(ValueError), quiet.output_set_aside(1, 2):
        os.write(1, b"op is not supported ")
        os.write(2, b"at node 7")
        raise ValueError
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "op is not supported at node 7")


def test_who_interrupts_is_not_told_what_libraries_said(capfd):
    with pytest.raises(KeyboardInterrupt), quiet.output_set_aside(2):
        os.write(2, b"calibrating, 40 % ")
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""


def test_who_has_no_standard_error_needs_none(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with quiet.without_info_lines():
        pass
    monkeypatch.undo()
    monkeypatch.setattr(quiet, "_is_open", lambda descriptor: False)
    monkeypatch.setattr(os, "dup", lambda descriptor: pytest.fail("it is closed"))
    with quiet.without_info_lines():
        pass


def test_threads_that_set_it_aside_at_once_leave_it_as_it_was(capfd):
    def work():
        for _ in range(20):
            with quiet.without_info_lines():
                os.write(2, b"INFO: one\n")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


def test_a_foreign_backend_that_was_asked_for_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(ValueError, match="KERAS_BACKEND is torch; .* runs on tensorflow or jax"):
        quiet._choose_backend()


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


def test_a_foreign_layout_gives_way_in_commands(channels_first, capsys):
    quiet._settle_keras()
    assert keras.config.image_data_format() == "channels_last"
    assert (
        "image_data_format channels_first; going on with channels_last" in capsys.readouterr().err
    )


def test_a_foreign_layout_is_named_in_python(channels_first):
    with pytest.raises(ValueError, match="channels_first; set it to"), layer_policy("float32"):
        pytest.fail("the block must not run")
