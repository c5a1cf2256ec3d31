"""A keras.json of another program, and an environment for one, are no trouble."""

import os

import keras
import pytest

from mobilenetdet import quiet
from mobilenetdet.models.layers import layer_policy


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
    with quiet._stderr_set_aside():
        os.write(2, b"start-up message")
    with pytest.raises(ValueError), quiet._stderr_set_aside():
        os.write(2, b"what failed")
        raise ValueError
    assert capfd.readouterr().err == "what failed"


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
