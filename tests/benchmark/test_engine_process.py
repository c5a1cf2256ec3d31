import os
from contextlib import closing

import pytest

from mobilenetdet.benchmark import engine_process
from mobilenetdet.benchmark.engine_process import EngineError, EngineProcess, cores_limited
from mobilenetdet.system.cores import num_cores

ECHO = """
import json, os, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "die":
        print("out of luck", file=sys.stderr)
        os._exit(3)
    if request["do"] == "kill":
        os.kill(os.getpid(), 9)
    if request["do"] == "fail":
        print(json.dumps({"error": "no such thing"}), flush=True)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        print(json.dumps({"got": request, "cores": cores, **{
            name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "PYTHONPATH")}}), flush=True)
"""


@pytest.fixture
def echo(monkeypatch, tmp_path) -> None:
    """Puts a small program in the place of the engine."""
    (tmp_path / "echo_engine.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(engine_process, "_MODULE", "echo_engine")


def test_answers_come_back_and_threads_are_fixed(echo):
    with closing(EngineProcess(1)) as process:
        answer = process.ask("time", runs=3)
        assert answer["got"] == {"do": "time", "runs": 3}
        assert (answer["cores"], answer["OMP_NUM_THREADS"]) == (1, "1")
        with pytest.raises(EngineError, match="no such thing"):
            process.ask("fail")
        assert process.ask("again")["got"] == {"do": "again"}
    process.close()  # once more does no harm


@pytest.mark.parametrize(
    ("request_", "words"), [("die", "code 3: out of luck"), ("kill", "was killed, as the system")]
)
def test_a_process_that_ends_says_why(echo, request_, words):
    with closing(EngineProcess(1)) as process, pytest.raises(EngineError, match=words):
        process.ask(request_)


def test_cores_come_back():
    before = os.sched_getaffinity(0)
    with cores_limited(1):
        assert num_cores() == 1
    assert os.sched_getaffinity(0) == before
    for count in (0, num_cores() + 1):
        with pytest.raises(ValueError, match=f"{count} threads are asked for"):
            cores_limited(count).__enter__()


def test_systems_without_affinity_say_so(monkeypatch):
    monkeypatch.setattr(engine_process, "num_cores", lambda: 8)
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with cores_limited(8):
        pass
    with pytest.raises(ValueError, match="2 of 8 cores; leave --threads out"):
        cores_limited(2).__enter__()


@pytest.mark.slow
def test_the_real_program_multiplies():
    with closing(EngineProcess(1)) as process:
        assert process.ask("open", source=None)["engine"].startswith("numpy ")
        assert len(process.ask("time", runs=2, warm_up=0)["times"]["total"]) == 2
        assert process.ask("memory")["peak_megabytes"] > 10
