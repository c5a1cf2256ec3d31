"""What a child is to suffer from: a kill at its n-th touch of a file, limits, lost streams."""

import ctypes
import itertools
import os
import resource
import sys
import tempfile

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events that change a folder; the path is their first argument.
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")
# linux/capability.h: what lets root pass over permissions of files.
FILES = 1 << 1 | 1 << 2
CAPABILITY_VERSION, KEEP_CAPABILITIES = 0x20080522, 8


def apply(request):
    if request["touches"]:
        count_touches(request["folder"], request["touches"], request["kill_at"], request["signal"])
    for name, value in request["limits"].items():
        limit(name, value)
        # CPython would keep the first bytes of a compiled module, which no import can read then.
        sys.dont_write_bytecode = True
    if request["obeys_permissions"] and os.geteuid() == 0:
        keep_capabilities(lambda held: held & ~FILES)
    if request["user"] is not None:
        become_user(request["user"])
    if request["temporary"] is not None:
        tempfile._candidate_tempdir_list = lambda: [request["temporary"]]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if name in request["closed"]:
            os.close(number)
            setattr(sys, name, None)


def count_touches(folder, log, kill_at, number):
    """Writes a line for each touch of a file in a folder, and kills itself before the n-th.

    A touch is the opening of a file to write, a renaming, a removal, the making of a folder, or
    the waiting for the disk.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    touches = itertools.count(1)
    fsync = os.fsync

    def touch(name, path):
        os.write(descriptor, f"{name} {path}\n".encode())
        if next(touches) == kill_at:
            os.kill(os.getpid(), number)

    def hook(event, arguments):
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & WRITING:
                return
        elif event in CHANGES:
            path = arguments[0]
        else:
            return
        if not isinstance(path, int | None) and is_inside(path, folder):
            touch(event, os.fsdecode(path))

    def counted_fsync(descriptor):
        touch("fsync", "")
        fsync(descriptor)

    os.fsync = counted_fsync
    sys.addaudithook(hook)


def is_inside(path, folder):
    return os.path.abspath(os.fsdecode(path)).startswith(folder + os.sep)


def limit(name, value):
    """Sets a limit; of memory, what may be added to that which is taken."""
    number = getattr(resource, f"RLIMIT_{name}")
    if name in ("AS", "DATA"):
        field = {"AS": "VmSize", "DATA": "VmData"}[name]
        with open("/proc/self/status") as file:
            taken = next(line.split()[1] for line in file if line.startswith(f"{field}:"))
        value += int(taken) * 1024
    resource.setrlimit(number, (value, value))


def become_user(number):
    """Becomes a user whose processes the system counts, and who may read and write every file."""
    ctypes.CDLL(None).prctl(KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(number)
    os.setuid(number)
    keep_capabilities(lambda held: held & FILES)


def keep_capabilities(choose):
    """Gives up capabilities; `choose` gets those that are permitted, of the lower 32."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; low, then high half
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    chosen = choose(sets[1])
    if libc.capset(header, (ctypes.c_uint32 * 6)(chosen, chosen, 0, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), "capset")
