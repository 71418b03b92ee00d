"""The inside of a sandbox made of Linux namespaces, by the standard library alone (namespaces(7), pivot_root(2)).

This file is run as a script by ``hermetic.realize.sandbox``, never imported for its effects: it reads one JSON
description on standard input, leaves the host's namespaces, builds a root of bind mounts, and runs the command. What
it is and why it failed go as JSON lines to the descriptor that the description names; nothing else is said there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys
from typing import Any, NoReturn

_NEW_NS, _NEW_UTS, _NEW_IPC, _NEW_USER, _NEW_PID, _NEW_NET = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _SILENT, _SLAVE = (
    1, 2, 4, 8, 32, 4096, 16384, 32768, 1 << 19,
)  # fmt: skip
_KEPT_FLAGS = {2: _NOSUID, 4: _NODEV, 8: _NOEXEC, 1024: 1024, 2048: 2048, 4096: 1 << 21}  # statvfs flag -> mount flag
_DETACH = 2
_SET_PDEATHSIG, _CAPBSET_READ, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 1, 23, 24, 38
_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x41
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_FAILED = 125

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Run the command of the description in a sandbox; give its exit status, 128 + N if signal N ended it."""
    wanted = json.loads(sys.stdin.buffer.read())
    report = wanted["report"]
    os.set_inheritable(report, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        _leave_host(wanted)
        _die_with_parent()
        if os.getppid() != wanted["parent"]:
            return _FAILED
        init = os.fork()
    except OSError as error:
        return _fail(report, error)
    if init == 0:
        _init(wanted, report)
    _tell(report, {"init": init})
    return _status(os.waitpid(init, 0)[1])


def _leave_host(wanted: dict[str, Any]) -> None:
    user, group = os.geteuid(), os.getegid()
    flags = _NEW_NS | _NEW_UTS | _NEW_IPC | _NEW_PID | _NEW_NET
    if not wanted["user_namespace"]:
        _call("unshare", flags)
        return
    _call("unshare", flags | _NEW_USER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{wanted['uid']} {user} 1"),
        ("gid_map", f"{wanted['uid']} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123  nothing more is imported here
            file.write(text)


def _init(wanted: dict[str, Any], report: int) -> NoReturn:
    """Be process 1 of the sandbox: make its root, start the command, reap what it leaves, end with it."""
    status = _FAILED
    try:
        _die_with_parent()
        _bring_up_loopback()
        socket.sethostname(wanted["host"])
        _make_root(wanted)
        _tell(report, {"ready": True})
        command = os.fork()
        if command == 0:
            _become(wanted)
        while True:
            child, ended = os.wait()
            if child == command:
                status = _status(ended)
                break
    except OSError as error:
        _fail(report, error)
    finally:
        os._exit(status)


def _become(wanted: dict[str, Any]) -> NoReturn:
    """Turn into the command, without privileges and without a terminal."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for capability in range(64):
        if _libc.prctl(_CAPBSET_READ, capability, 0, 0, 0) == 1:
            _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    _call("prctl", _SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    status = 126
    try:
        os.chdir(wanted["cwd"])
        os.execvpe(wanted["command"][0], wanted["command"], wanted["environment"])
    except OSError as error:
        status = 127 if error.errno == errno.ENOENT else 126
        os.write(2, f"{wanted['command'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(status)


def _make_root(wanted: dict[str, Any]) -> None:
    """Build the root in a tmpfs, from the host's folders, and let go of the host."""
    # Where links of the host lead is only known while its root is ours.
    mounts = [(os.path.realpath(source), target, writable) for source, target, writable in wanted["mounts"]]
    base = "/tmp"  # noqa: S108  only a place to mount on, in a mount namespace of our own
    _mount("none", "/", "", _SILENT | _SLAVE | _REC)
    _mount("tmpfs", base, "tmpfs", _NOSUID | _NODEV, "mode=0755")
    for name in ("host", "root"):
        os.mkdir(f"{base}/{name}")  # noqa: PTH102
    _call("syscall", _pivot_root(), base.encode(), f"{base}/host".encode())
    os.chdir("/")
    root = "/root"
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "mode=0755")
    _mount_devices(root)
    _mount_proc(root)
    for target, points_to in wanted["links"]:
        os.symlink(points_to, root + target)  # noqa: PTH211
    for target, text in wanted["files"]:
        _make_parent(root + target)
        with open(root + target, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
    for target in wanted["scratch"]:
        os.makedirs(root + target, exist_ok=True)  # noqa: PTH103
        _mount("tmpfs", root + target, "tmpfs", _NOSUID | _NODEV, "mode=0755")
    for source, target, writable in mounts:
        _bind(f"/host{source}", root + target, writable=writable)
    _remount(root, _BIND | _NOSUID | _NODEV | _RDONLY)
    _call("umount2", b"/host", _DETACH)
    os.chdir(root)
    _call("syscall", _pivot_root(), b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def _mount_devices(root: str) -> None:
    os.mkdir(f"{root}/dev")  # noqa: PTH102
    for name in _DEVICES:
        os.close(os.open(f"{root}/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        _mount(f"/host/dev/{name}", f"{root}/dev/{name}", "", _BIND)
    os.symlink("/proc/self/fd", f"{root}/dev/fd")  # noqa: PTH211
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{root}/dev/{name}")  # noqa: PTH211
    shared = f"{root}/dev/shm"  # noqa: S108
    os.mkdir(shared)  # noqa: PTH102
    _mount("tmpfs", shared, "tmpfs", _NOSUID | _NODEV, "mode=1777")


def _mount_proc(root: str) -> None:
    os.mkdir(f"{root}/proc")  # noqa: PTH102
    try:
        _mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    except OSError as error:
        # A container that hides parts of its own /proc may not mount a whole one: then the sandbox has none.
        if error.errno != errno.EPERM:
            raise


def _bind(source: str, target: str, *, writable: bool) -> None:
    if os.path.isdir(source):  # noqa: PTH112
        os.makedirs(target, exist_ok=True)  # noqa: PTH103
    else:
        _make_parent(target)
        if not os.path.exists(target):  # noqa: PTH110
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(source, target, "", _BIND | _REC)
    for point in _mounts_below(target):
        _remount(point, _BIND | _NOSUID | _NODEV | (0 if writable else _RDONLY))


def _make_parent(target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120


def _mounts_below(target: str) -> list[str]:
    """List the mount at a path and those below it: a recursive bind brings them along, each with flags of its own."""
    with open("/host/proc/self/mountinfo", "rb") as file:  # noqa: PTH123
        lines = file.read().split(b"\n")
    points = [os.fsdecode(_unescape(line.split(b" ")[4])) for line in lines if line]
    return [point for point in points if point == target or point.startswith(f"{target}/")]


def _unescape(path: bytes) -> bytes:
    for code in (b"040", b"011", b"012", b"134"):
        path = path.replace(b"\\" + code, bytes([int(code, 8)]))
    return path


def _remount(point: str, flags: int) -> None:
    """Change a mount's flags. Those that it has may be locked (mount_namespaces(7)), so they are always given too."""
    try:
        has = os.statvfs(point).f_flag
    except PermissionError:  # a mount that we may not even look at cannot be used either
        return
    kept = sum(flag for bit, flag in _KEPT_FLAGS.items() if has & bit)
    _mount("none", point, "", _REMOUNT | _SILENT | kept | flags | (has & _RDONLY))


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _UP_AND_RUNNING))


def _die_with_parent() -> None:
    _call("prctl", _SET_PDEATHSIG, *map(ctypes.c_ulong, (signal.SIGKILL, 0, 0, 0)))


def _pivot_root() -> ctypes.c_long:
    """Give the number of pivot_root, which the C library does not wrap."""
    numbers = {"x86_64": 155, "i386": 217, "i686": 217, "ppc64le": 203, "s390x": 217}
    return ctypes.c_long(numbers.get(os.uname().machine, 41))  # 41: all architectures of the generic table (aarch64)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _call(
        "mount", os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode() or None
    )


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        shown = [os.fsdecode(a) for a in arguments if isinstance(a, bytes) and a.startswith((b"/", b"."))]
        raise OSError(number, f"{name} {' '.join(shown)}".strip() + f": {os.strerror(number)}")


def _status(waited: int) -> int:
    code = os.waitstatus_to_exitcode(waited)
    return 128 - code if code < 0 else code


def _tell(report: int, value: dict[str, Any]) -> None:
    os.write(report, json.dumps(value).encode() + b"\n")


def _fail(report: int, error: OSError) -> int:
    named = f"{error.filename}: " if error.filename else ""
    _tell(report, {"error": f"{named}{error.strerror}", "errno": error.errno})
    return _FAILED


if __name__ == "__main__":
    sys.exit(main())
