"""Every parser ends in a result or in what becomes one message, whatever it is given.

`MOBILENETDET_FUZZ_SECONDS` is how long all of them together are tried under the marker `faults`;
how many inputs that were is printed at the end.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import parsers
from faults.format_parsers import FORMATS
from faults.mutations import mutated
from faults.parsers import WholeFiles
from hypothesis import HealthCheck, Phase, given, seed, settings

from mobilenetdet.cli.errors import message_for_user

PARSERS = parsers.PARSERS | FORMATS
_ALL_SECONDS = float(os.environ.get("MOBILENETDET_FUZZ_SECONDS", "300"))
_SAMPLE_SECONDS = 4.0
# One input may take so long, and the process may grow by so much.
_MAX_SECONDS, _MAX_GROWTH = 20, 700_000_000
_ROUND = 200
_SETTINGS = settings(
    max_examples=_ROUND,
    deadline=None,  # the alarm is one, and interrupts what hangs
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


class HangsError(BaseException):
    """An input that takes far too long; nothing catches it on the way."""


@contextlib.contextmanager
def alarm() -> Iterator[None]:
    def ring(*_) -> None:
        raise HangsError

    former = signal.signal(signal.SIGALRM, ring)
    signal.alarm(_MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def peak_memory() -> int:
    """The most memory that this process has held, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.fixture(scope="session")
def whole_files(small_kitti, small_run, class_records, tiny_weights, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    weights = list(tiny_weights.values())
    return WholeFiles(small_kitti, small_run, class_records.parent, weights, scratch)


def fuzz(name: str, files: WholeFiles, folder: Path, seconds: float) -> int:
    """Tries a parser for so long; returns the number of inputs."""
    parser, count = PARSERS[name], 0
    path, seeds = folder / parser.file, parser.seeds(files)
    for content in seeds:
        path.write_bytes(content)
        parser.parse(path)
    before, end = peak_memory(), time.monotonic() + seconds

    @_SETTINGS
    @given(mutated(seeds))
    def try_one(content: bytes) -> None:
        nonlocal count
        if time.monotonic() > end:
            return
        path.write_bytes(content)
        count += 1
        try:
            with alarm():
                parser.parse(path)
        except (ValueError, OSError, SystemExit) as error:
            assert isinstance(error, SystemExit) or message_for_user(error)
        assert peak_memory() - before < _MAX_GROWTH

    while time.monotonic() < end:
        seed(count)(try_one)()
    return count


@pytest.mark.faults
@pytest.mark.parametrize("name", PARSERS)
def test_fuzz(name, whole_files, tmp_path, record_property):
    record_property("inputs", fuzz(name, whole_files, tmp_path, _ALL_SECONDS / len(PARSERS)))


@pytest.mark.parametrize("name", PARSERS)
def test_a_sample_of_fuzz(name, whole_files, tmp_path):
    fuzz(name, whole_files, tmp_path, _SAMPLE_SECONDS / len(PARSERS))
