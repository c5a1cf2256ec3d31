"""How processes find each other: what Ctrl-C does meanwhile, and what an old JAX lacks."""

import signal
import threading

import pytest

from mobilenetdet.config.training import TrainConfig
from mobilenetdet.distribution import connection, devices
from mobilenetdet.distribution.connection import connect

jax = pytest.importorskip("jax")


@pytest.fixture
def waiting(monkeypatch):
    """Stands in for JAX; returns what each wait for the others has found SIGINT to do."""
    found = []
    monkeypatch.setattr(connection, "watch_stderr", lambda: None)
    monkeypatch.setattr(jax.config, "update", lambda name, value: None)
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda **named: found.append(signal.getsignal(signal.SIGINT))
    )
    return found


@pytest.fixture
def handler():
    """Sets what SIGINT does, and puts back what it did before."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda value: signal.signal(signal.SIGINT, value)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_process_that_waits(waiting, handler):
    handler(signal.default_int_handler)
    connect(TrainConfig(coordinator="auto"))
    assert waiting == [signal.SIG_DFL]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_job_in_the_background_goes_on_ignoring_ctrl_c(waiting, handler):
    for value in (signal.SIG_IGN, lambda number, frame: None):
        handler(value)
        connect(TrainConfig(coordinator="auto"))
        assert waiting.pop() is value and signal.getsignal(signal.SIGINT) is value


def test_another_thread_leaves_signals_alone(waiting, handler):
    handler(signal.default_int_handler)
    thread = threading.Thread(target=connect, args=[TrainConfig(coordinator="auto")])
    thread.start()
    thread.join()
    assert waiting == [signal.default_int_handler]


def unknown_option(name, value):
    raise AttributeError(f"Unrecognized config option: {name}")


def unknown_argument(**named):
    raise TypeError("initialize() got an unexpected keyword argument 'heartbeat_timeout_seconds'")


def test_an_old_jax_is_named(waiting, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(jax.distributed, "initialize", unknown_argument)
        with pytest.raises(ValueError, match=r"JAX .* is too old .*heartbeat.*pip install -U jax"):
            connect(TrainConfig(coordinator="auto"))
    monkeypatch.setattr(jax.config, "update", unknown_option)
    message = r"JAX .* is too old for this \(Unrecognized config option: jax_\w+\): pip install"
    with pytest.raises(ValueError, match=message):
        connect(TrainConfig(coordinator="auto"))
    with pytest.raises(ValueError, match=message):
        devices._jax_cpus(2)
