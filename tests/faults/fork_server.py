"""A process that has loaded the libraries and forks one child a command, in hundredths of a second.

Run as a script by `processes.py`. It reads requests from standard input, a line of JSON each, and
answers with the number of the child; when a child ends, it says so. It runs nothing itself: no
context of TensorFlow is there that a child could inherit, and no thread but those of BLAS, which
knows of forks. A child goes on as the program would: `mobilenetdet.cli.main.main`, then the end.
Python's own end takes seconds, since it frees what was loaded; unless it is asked for, all that
commands can notice of it is done instead.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import sys
import tempfile
import threading
import warnings

LIBRARIES = (
    *("cv2", "tyro", "rich.progress", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("mobilenetdet.analysis.report", "mobilenetdet.analysis.plots"),
    *("mobilenetdet.label_formats.importing", "mobilenetdet.label_formats.exporting"),
)
COMMANDS = (
    *("kitti_split", "tf_convert_data", "imagenet_convert", "inspect_records", "kitti_eval"),
    *("import_labels", "export_labels", "export_annotations"),
)
WITH_NETWORKS = (
    *("tensorflow", "keras", "h5py", "mobilenetdet.drawing.anchor_plot"),
    *("mobilenetdet.cli.train", "mobilenetdet.cli.train_classifier", "mobilenetdet.cli.pack_run"),
    *("mobilenetdet.cli.eval", "mobilenetdet.cli.predict", "mobilenetdet.cli.visualize"),
    *("mobilenetdet.training.train", "mobilenetdet.classification.train"),
    *("mobilenetdet.analysis.dataset_overlays", "mobilenetdet.evaluation.eval_shares"),
    *("mobilenetdet.cli.average_runs", "mobilenetdet.cli.kitti_submission"),
    "mobilenetdet.training.weight_average",
)


def load(networks):
    """Imports what commands import; `networks`: also those that need TensorFlow."""
    commands = [f"mobilenetdet.cli.{command}" for command in COMMANDS]
    for name in (*LIBRARIES, *commands, *(WITH_NETWORKS if networks else ())):
        importlib.import_module(name)
    if networks:
        from tensorflow.python.eager import context

        assert not context.context()._initialized


def serve():
    """Answers requests until standard input ends; in a child, returns its request."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write)
    waiting = b""
    while True:
        ready, _, _ = select.select([0, read], [], [])
        if read in ready:
            os.read(read, 4096)
            reap()
        if 0 not in ready:
            continue
        received = os.read(0, 1 << 20)
        if not received:
            os._exit(0)
        *lines, waiting = (waiting + received).split(b"\n")
        for line in lines:
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                # Shells start background jobs with Ctrl-C ignored; the program is to notice it.
                signal.signal(signal.SIGINT, signal.default_int_handler)
                os.close(read)
                os.close(write)
                return json.loads(line)
            answer({"started": pid})


def reap():
    while True:
        try:
            pid, status, _ = os.wait3(os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        answer({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def answer(message):
    os.write(1, json.dumps(message).encode() + b"\n")


def become(request):
    """Takes the place of the program; returns whether Python is to end by itself."""
    from faults import handicaps

    os.setsid()
    os.chdir(request["folder"])
    for name, value in request["environment"].items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    tempfile.tempdir = None
    for number, path in enumerate((os.devnull, request["stdout"], request["stderr"])):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY
        opened = os.open(path, flags, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))
    handicaps.apply(request)
    if "tensorflow" in sys.modules and not request["traced"]:
        sys.modules["tensorflow"].config.run_functions_eagerly(True)
        warnings.filterwarnings("ignore", "Even though the `tf.config")
    sys.argv = ["mobilenetdet", *request["arguments"]]
    return request["whole_end"]


def end(code):
    """Ends as Python does, but frees nothing."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120
    os._exit(code)


if __name__ == "__main__":
    load(networks=sys.argv[1] == "networks")
    gc.freeze()
    answer({"ready": True})
    whole_end = become(serve())
    from mobilenetdet.cli.main import main

    try:
        main()
    except SystemExit as reached:
        if whole_end:
            raise
        end(reached.code or 0)
