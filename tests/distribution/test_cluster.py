"""Several processes that train together: as one."""

import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

from mobilenetdet.config.presets import make_preset
from mobilenetdet.config.storage import with_changes
from mobilenetdet.config.training import TrainConfig
from mobilenetdet.distribution import lost_process
from mobilenetdet.distribution.cluster import ALONE, Cluster, join_cluster


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coordinator": "first"}, "train.coordinator is 'first'; it must be HOST:PORT of the"),
        ({"coordinator": "first:0"}, "train.coordinator"),
        ({"coordinator": "first:port"}, "train.coordinator"),
        ({"coordinator": "first:65536", "num_processes": 2}, "with a port of 65535 at most"),
        ({"coordinator": "first:1234"}, "train.num_processes is 1; it must be 2 or more"),
        ({"num_processes": 2}, "train.coordinator is ''; it must be HOST:PORT of process 0"),
        ({"coordinator": "auto", "num_processes": 2}, "train.coordinator is 'auto'"),
        (
            {"coordinator": "first:1234", "num_processes": 2, "process_id": 2},
            "train.process_id is 2; it must be below train.num_processes, 2",
        ),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes, message):
    changes = {f"train.{key}": value for key, value in changes.items()}
    with pytest.raises(ValueError, match=message):
        with_changes(make_preset("ssd_fpn"), changes)


@pytest.mark.parametrize(
    ("batch_size", "shares", "processes", "expected"),
    [(4, 1, 1, 1), (4, 4, 1, 4), (4, 1, 2, 2), (8, 4, 2, 4), (6, 3, 3, 3)],
)
def test_each_process_has_a_share_of_the_records(batch_size, shares, processes, expected):
    train = TrainConfig(batch_size=batch_size, record_shares=shares, coordinator="auto")
    settled = train.for_processes(processes)
    assert settled.record_shares == expected and settled.coordinator == ""


@pytest.mark.parametrize(
    ("batch_size", "shares", "processes", "message"),
    [
        (4, 3, 1, "train.record_shares is 3; it must be a divisor of train.batch_size, 4"),
        (4, 1, 3, "train.batch_size is 4; it must be a multiple of the 3 processes"),
        (8, 2, 4, "train.record_shares is 2; it must be a multiple of the 4 processes, each of"),
    ],
)
def test_shares_that_do_not_fit_are_refused(batch_size, shares, processes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(batch_size=batch_size, record_shares=shares).for_processes(processes)


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:1234", "node-1.local:65535", "[::1]:1234"])
def test_addresses_of_the_first_process(address):
    processes = {} if address == "auto" else {"num_processes": 2, "process_id": 1}
    assert TrainConfig(coordinator=address, **processes).coordinator == address


def test_a_process_that_is_alone_joins_nothing(tmp_path):
    with join_cluster(TrainConfig()) as cluster:
        assert cluster is ALONE and cluster.is_alone
        config = make_preset("ssd_fpn")
        assert cluster.settle(config) == config
        checked = []
        with cluster.run_dir(tmp_path / "run", checked.append) as folder:
            assert folder == tmp_path / "run" and checked == [folder]
        assert cluster.gather("value") == ["value"] and cluster.broadcast("value") == "value"
        assert cluster.predict(np.sqrt, np.array([4.0])).tolist() == [2.0]


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    train = TrainConfig(coordinator="auto")
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"), join_cluster(train):
        pass


class Rehearsed(Cluster):
    """A cluster whose other processes have said already what they are going to say."""

    def gather(self, value):
        parts = list(self.__dict__["others"])
        parts.insert(self.process_id, value)
        return parts

    def broadcast(self, value):
        return value if self.process_id == 0 else self.__dict__["others"][0]


def rehearse(process_id, others):
    cluster = Rehearsed(process_id, len(others) + 1)
    cluster.__dict__["others"] = others
    return cluster


def test_other_settings_of_another_process_are_named():
    config = make_preset("ssd_fpn")
    values = {}
    cluster = rehearse(0, [None])
    cluster.__dict__["agree"] = values.update
    own = replace(config.train, coordinator="a:1", num_processes=2)
    shared = replace(config, train=replace(config.train, record_shares=2))
    assert cluster.settle(replace(config, train=own)) == shared
    assert "train.epochs" in values and "data.records_dir" not in values
    other = rehearse(0, [{"train.epochs": 3}])
    with pytest.raises(ValueError, match="train.epochs is 3 in process 1 and 2 in process 0; give"):
        other.agree({"train.epochs": 2})
    rehearse(0, [{"train.epochs": 2}]).agree({"train.epochs": 2})


@pytest.mark.parametrize(
    ("own", "others", "fault"),
    [
        ("a", ["a", "a"], ""),
        ("", ["", ""], ""),
        ("", ["a", "a"], ""),
        ("a", ["", "a"], ""),
        ("", ["a", "b"], "order is 'b' in process 2 and 'a' in process 1"),
        ("a", ["", "b"], "order is 'b' in process 2 and 'a' in process 0"),
    ],
)
def test_what_a_process_does_not_know_agrees_with_all(own, others, fault):
    cluster = rehearse(0, [{"order": other} for other in others])
    if not fault:
        cluster.agree({"order": own}, unknown="")
        return
    with pytest.raises(ValueError, match=fault):
        cluster.agree({"order": own}, unknown="")


def test_the_other_processes_write_to_a_copy_of_the_run(tmp_path):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "config.json").write_text("{}")
    sent = []
    first = rehearse(0, [None])
    first.__dict__["broadcast"] = sent.append
    with first.run_dir(run_dir, lambda folder: None):
        assert sent == [{}]  # there is no checkpoint to go on from
    (run_dir / "checkpoint.npz").write_bytes(b"state")
    (run_dir / "notes.txt").write_text("of a user")
    with first.run_dir(run_dir, lambda folder: None):
        pass
    assert sent[1] == {"config.json": b"{}", "checkpoint.npz": b"state"}
    with rehearse(1, [sent[1]]).run_dir(run_dir, lambda folder: None) as folder:
        assert folder != run_dir
        assert (folder / "checkpoint.npz").read_bytes() == b"state"
        (folder / "metrics.csv").write_text("epoch")
    assert not folder.exists() and not (run_dir / "metrics.csv").exists()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_processes_share_the_images_of_a_batch(size):
    images = np.arange(size * 2.0).reshape(size, 2)
    parts = []
    for process in range(3):
        cluster = rehearse(process, [np.zeros((0, 2))] * 2)
        found = cluster.predict(lambda batch: batch + 1, images)
        assert len(found) <= -(-size // 3)
        parts.append(found)
    np.testing.assert_array_equal(np.concatenate(parts), images + 1)


WALL = b"""F1129 22:04:06.187475 client.h:80] Terminating process because the JAX distributed \
service detected fatal errors. This most likely indicates that another task died. absl::Status: \
UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):
1
The tasks have crashed.

RPC: /xla.coordination.CoordinationService/PollForError
*** Check failure stack trace: ***
    @     0x7f44f6840634  absl::lts_20260107::log_internal::LogMessage::SendToLog()
"""


def test_the_last_words_of_jax_become_a_sentence():
    program = [sys.executable, "-I", "-S", lost_process.__file__]
    done = subprocess.run(program, input=b"a warning\n" + WALL, capture_output=True, timeout=60)
    lines = done.stderr.decode().splitlines()
    assert lines[0] == "a warning" and len(lines) == 2
    assert lines[1].startswith("error: another process of this training is gone")
    assert "the run goes on after its last complete epoch" in lines[1]
    assert "stopped sending heartbeats): 1 The tasks have crashed.)" in lines[1]
    assert "RPC" not in lines[1] and "0x7f" not in lines[1]


def test_a_number_that_two_processes_have_is_told():
    status = (
        b"ALREADY_EXISTS: Aborted connect attempt as there is a request from a newer incarnation."
    )
    words = (
        b"Terminating process because the JAX distributed service\nabsl::Status: "
        + status
        + b"\n\n"
    )
    assert lost_process.told(words).startswith(
        b"error: another process has joined with the same train.process_id"
    )


def test_other_words_pass_as_they_are():
    program = [sys.executable, "-I", "-S", lost_process.__file__]
    words = b"\xff a line\n10 %\r20 %"
    assert subprocess.run(program, input=words, capture_output=True, timeout=60).stderr == words


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        ("UNKNOWN: Gloo AllGather failed: [pair.cc:538] Read error: Connection reset", True),
        ("INTERNAL: NCCL operation ncclAllReduce failed: remote process exited", True),
        ("DEADLINE_EXCEEDED: Barrier timed out. Id: shutdown", True),
        ("RESOURCE_EXHAUSTED: Out of memory", False),
        ("gloo.png: no image", False),
    ],
)
def test_a_lost_process_is_told_from_other_errors(words, lost):
    assert lost_process.is_lost_process(ValueError(words)) == lost
    assert lost_process.is_lost_process(type("JaxRuntimeError", (RuntimeError,), {})(words)) == lost
    assert not lost_process.is_lost_process(OSError(words))
