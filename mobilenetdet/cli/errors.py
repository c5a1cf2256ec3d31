"""What went wrong, in the words of a user: one place for all commands."""

from __future__ import annotations

import errno
import os
import platform
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

from mobilenetdet.files.atomic_write import final_names
from mobilenetdet.system.terminal_text import one_line, printable

# Environment variable that asks for tracebacks.
TRACEBACK = "MOBILENETDET_TRACEBACK"
_MEMORY = (
    "there is not enough memory ({}); lower train.batch_size (eval.batch_size where nothing is "
    "trained) or data.image_height and data.image_width, or end other programs"
)
_INTERRUPTED = "interrupted; given again, the command keeps what is complete and does the rest"
# What the system says no to, and what helps.
_REFUSALS = {
    errno.ENOSPC: "the disk is full; free some space and give the command again",
    errno.EFBIG: "the system lets no file grow so large; raise the limit (ulimit -f)",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n 4096)",
    errno.ENFILE: "too many open files in the whole system; end other programs",
    errno.EAGAIN: "the system starts no more threads or processes; end some, or raise the limit "
    "(ulimit -u)",
    errno.ENOMEM: _MEMORY.format("as the system says"),
}
_REFUSALS[errno.EDQUOT] = _REFUSALS[errno.ENOSPC]
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
# Of records, which are looked for before they are read.
_VANISHED = "it was there at the start: bring it back, or convert the data again"
# Characters on either side of one that cannot be written.
_MAX_SHOWN = 40
# Packages that only exported files do without.
_OF_RUNS = ("tensorflow", "keras")
# cv2.Error.StsNoMem
_OPENCV_NO_MEMORY = -4
# Keras writes some of its messages in bold.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# What TensorFlow puts around the words of an error.
_WRAPPING = re.compile(r"\{\{[^}]*\}\}\s*|\s*\[Op:[^\]]*\].*|\s*\[\[\{\{.*", re.DOTALL)


def message_for_user(error: BaseException) -> str | None:
    """Returns what is wrong and what helps, or None for a fault of the program.

    TensorFlow's and OpenCV's errors go by their names: neither need be loaded.
    """
    name = type(error).__name__
    if (refusal := _refusal_in(error)) is not None:
        return refusal
    if isinstance(error, MemoryError) or name == "ResourceExhaustedError" or _is_jax_oom(error):
        return _MEMORY.format(_first_line(error) or "as the system says")
    if (name, type(error).__module__) == ("error", "cv2"):
        reason = getattr(error, "err", "") or str(error)
        if getattr(error, "code", 0) == _OPENCV_NO_MEMORY:
            return _MEMORY.format(reason)
        return f"OpenCV cannot work on a picture: {reason}"
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return f"a file is no UTF-8 text (byte 0x{byte:02x} at {error.start}); save it as UTF-8"
    if isinstance(error, UnicodeEncodeError):
        name = error.object[max(0, error.start - _MAX_SHOWN) : error.end + _MAX_SHOWN]
        return f"{one_line(name)}: this name is no UTF-8 text; give it another"
    if isinstance(error, OSError):
        return _message_of_system(error)
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return _message_of_import(error.name or "")
    return _message_of_tensorflow(name, str(error))


def tell(error: BaseException, command: str) -> int:
    """Prints what a user should know of an error; returns the exit code.

    2 for what a user can mend, 130 for Ctrl-C, 1 for a fault of the program, whose traceback goes
    to a file. `MOBILENETDET_TRACEBACK=1` in the environment prints it. Of Ctrl-C the first argument
    is said, where a command has given it one.
    """
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        _say(f"\n{error.args[0] if error.args else _INTERRUPTED}")
        return 130
    if (message := message_for_user(error)) is not None:
        _say(f"error: {_with_names_spelled(final_names(_COLOURS.sub('', message)))}")
        return 2
    try:
        details = f"{_write_log(error, command)} has the details"
    except OSError as failure:
        details = f"Its details could not be written ({failure}); {TRACEBACK}=1 prints them"
    what = _COLOURS.sub("", _first_line(error))
    told = f"error: {type(error).__name__}: {what}; this is a fault of mobilenetdet. "
    told += f"{details}: please report them {_where_to_report()}"
    _say(told)
    return 1


def _say(text: str) -> None:
    try:
        print(printable(text), file=sys.stderr)
    except OSError:
        # The exit code tells, unless Python tries once more at its end and ends with another.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _with_names_spelled(message: str) -> str:
    """Spells line breaks in names out of the command line; those of a message stay."""
    names = {part for word in sys.argv for part in re.split("[/=]", word) if "\n" in part.strip()}
    for name in sorted(names, key=len, reverse=True):
        message = message.replace(name, one_line(name))
    return message


def _refusal_in(error: BaseException) -> str | None:
    """Finds what the system said no to where libraries have put it into words of their own."""
    text = str(error)
    if isinstance(error, RuntimeError) and "start new thread" in text:
        return _REFUSALS[errno.EAGAIN]
    if isinstance(error, RuntimeError) and "random_device" in text:  # C++ cannot open /dev/urandom
        return _REFUSALS[errno.EMFILE]
    if isinstance(error, OSError) or not type(error).__module__.startswith("tensorflow"):
        return None
    for code, told in _REFUSALS.items():
        if (said := os.strerror(code)) in text:
            before = _WRAPPING.sub("", text).partition(said)[0].strip(" ;:\n")
            return f"{before}: {told}" if before else told
    return None


def _message_of_system(error: OSError) -> str:
    """Names the file first, where the system or HDF5 says which."""
    text = str(error)
    code = error.errno
    file = error.filename
    if hdf5 := re.search(r"errno = (\d+)", text):
        code = code or int(hdf5.group(1))
        named = re.search(r"name = '([^']*)'", text)
        file = file or (named.group(1) if named else None)
    path = os.fsdecode(file) if isinstance(file, (str, bytes, os.PathLike)) else ""
    where = f"{one_line(path)}: " if path else ""
    if code == errno.ENOENT and not os.path.isabs(path) and _no_working_directory():
        return "the working directory is gone; change to one that is there (cd), and try again"
    if code == errno.ENOENT and not path and "temporary directory" in text:  # Python's own words
        return "no folder takes temporary files; name one that does (TMPDIR=FOLDER)"
    if code in (errno.EEXIST, errno.ENOTDIR) and (in_the_way := _file_on_the_way(path)):
        return f"{one_line(in_the_way)} is a file, not a folder; name another"
    if code in _REFUSALS and not (code == errno.EAGAIN and where):  # of a file, it means a pipe
        return f"{where}{_REFUSALS[code]}"
    if code in _FORBIDDEN:
        return f"{where}{os.strerror(code).lower()}; change the permissions, or name another place"
    if code == errno.ENOENT and where.endswith(".tfrecord: "):
        return f"{where}{os.strerror(code).lower()}; {_VANISHED}"
    if where and error.strerror:
        return f"{where}{error.strerror.lower()}"
    # Of names alone, such as that of a host in a lock; no message of ours on this has line breaks.
    return one_line(text) if isinstance(error, FileExistsError) else text


def _no_working_directory() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _file_on_the_way(path: str) -> str:
    """Returns what of a path is there and no folder; "" where all of it is a folder, or absent."""
    places = [Path(path), *Path(path).parents] if path else []
    return next((str(place) for place in places if place.exists() and not place.is_dir()), "")


def _message_of_import(module: str) -> str | None:
    """Says what to install; None for a module of this package, which is our fault."""
    name = module.partition(".")[0]
    if name in ("", "mobilenetdet"):
        return None
    if name in _OF_RUNS:
        return (
            f"{name} is not installed, which runs need: pip install {' '.join(_OF_RUNS)}; or "
            "export the run where they are installed, and name the exported file: --model FILE"
        )
    return f"{name} is not installed; install it, or mobilenetdet again with all that it needs"


def _message_of_tensorflow(name: str, text: str) -> str | None:
    words = _WRAPPING.sub("", text).strip()
    if name == "DataLossError":
        return f"a TFRecord file is damaged ({words}); convert the data again with --overwrite"
    if name == "NotFoundError" and "such file" in text:
        return f"{words}; {_VANISHED}"
    if name == "PermissionDeniedError":
        return f"{words}; change the permissions of the file"
    if name == "InvalidArgumentError":
        return _message_of_pipeline(text)
    return None


def _message_of_pipeline(text: str) -> str | None:
    """Finds what the input pipeline said in the text that TensorFlow wraps it in."""
    if raised := re.search(r"^(?:\{\{.*?\}\} )?ValueError: (.*)$", text, re.MULTILINE):
        return raised.group(1)
    if asserted := re.search(r"assertion failed: \[(.*?)\] \[(-?\d+)\]", text):
        return f"{asserted.group(1)} ({asserted.group(2)})"
    if "Invalid JPEG data" in text:
        return "an image in the records is damaged; convert the data again, or repair them"
    return None


def _is_jax_oom(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def _first_line(error: BaseException) -> str:
    return next(iter(_WRAPPING.sub("", str(error)).strip().splitlines()), "")


def _write_log(error: BaseException, command: str) -> Path:
    """Writes traceback, command line and versions; returns where."""
    now = time.strftime("%Y%m%d_%H%M%S")
    path = Path(tempfile.gettempdir()) / f"mobilenetdet_{now}_{os.getpid()}.log"
    versions = [f"Python {platform.python_version()} on {platform.platform()}"]
    versions += [
        f"{name} {getattr(sys.modules[name], '__version__', '?')}"
        for name in ("mobilenetdet", "tensorflow", "keras", "jax", "numpy", "cv2")
        if name in sys.modules
    ]
    lines = [f"mobilenetdet {command}: {sys.argv}", *versions, ""]
    trace = "".join(traceback.format_exception(error))
    path.write_text("\n".join(lines) + "\n" + trace, encoding="utf-8", errors="replace")
    return path


def _where_to_report() -> str:
    """The address in the metadata; a copy that has none is looked after by whoever gave it away."""
    import importlib.metadata  # not at the top: 15 ms, which every command would pay

    try:
        about = importlib.metadata.metadata("mobilenetdet")
    except importlib.metadata.PackageNotFoundError:
        about = {}
    address = about.get("Home-page") or (about.get("Project-URL") or "").rpartition(" ")[2]
    return f"at {address}" if address else "to whoever you have this copy from"
