"""Runs one PostgreSQL server until standard input ends: the pipe is closed when the test process ends, however it ends.

usage: server.py BIN_FOLDER [SIZE]

Prints the port when the server takes connections. Then each line of input is one command, answered by `ok`: `freeze` and
`thaw` stop and continue all of its processes, `restart` ends and starts it, `crash` does the same without a warning to it,
and `sql DATABASE STATEMENT` executes one statement as the administrator.

With a SIZE its tables lie on a disk of their own in memory, for which this must run in a mount namespace of its own:
`fill` leaves no room there, `free` gives it back. Where mounting is not allowed, `no mount` is printed instead of a port.
The write-ahead log lies elsewhere: a server ends itself when there is no room for that.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

bin_folder = sys.argv[1]
folder = tempfile.mkdtemp(prefix="keelson-postgres-")
has_disk = len(sys.argv) > 2
if has_disk:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={sys.argv[2]}", "none", folder]
    if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        os.rmdir(folder)
        sys.exit(print("no mount"))
log_folder = tempfile.mkdtemp(prefix="keelson-postgres-wal-")
data = os.path.join(folder, "data")
# PostgreSQL refuses to run as root.
user, as_user = {}, []
if has_disk and Path("/proc/self/uid_map").read_text().split()[2] == "1":
    # Root in a user namespace that knows nobody else.
    as_user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
elif os.getuid() == 0:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    owner = known.get("postgres") or known["nobody"]
    user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    os.chown(log_folder, owner.pw_uid, owner.pw_gid)


def program(name):
    return os.path.join(bin_folder, name)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def start(port):
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "max_connections": 400,
        "logging_collector": "off",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [*as_user, program("postgres"), "-D", data, *options]
    server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **user)
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        # Between the choice of a port and its use somebody else may take it, so the server's own word counts.
        if status() == "ready":
            return server
        time.sleep(0.02)
    server.kill()
    return None


def status():
    try:
        with open(os.path.join(data, "postmaster.pid")) as file:
            return file.read().splitlines()[7].strip()
    except (OSError, IndexError):
        return None


def family(parent):
    """The server and its children, of which each has a process group of its own."""
    children = [parent]
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == parent:
                    children.append(int(name))
        except OSError:
            pass
    return children


def signal_all(number):
    for pid in family(server.pid):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def stop(number):
    server.send_signal(number)
    server.wait()


def until_ready(answers):
    """Reads the server's messages up to the next `ReadyForQuery`; what it says against it, or None."""
    refusal = None
    while (kind := answers.read(1)) not in (b"Z", b""):
        text = answers.read(struct.unpack("!i", answers.read(4))[0] - 4)
        if kind == b"E":
            refusal = " ".join(field[1:] for field in text.decode().split("\0") if field[:1] in ("C", "M"))
    answers.read(5)
    return refusal if kind else refusal or "the server hung up"


def execute(database, statement):
    """Without a driver, which not every machine has. The administrator needs no password."""

    def message(kind, body):
        return kind + struct.pack("!i", len(body) + 4) + body

    who = f"user\0postgres\0database\0{database}\0\0"
    with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rb") as answers:
        line.sendall(message(b"", struct.pack("!i", 3 << 16) + who.encode()))
        refusal = until_ready(answers)
        if refusal is None:
            line.sendall(message(b"Q", statement.encode() + b"\0"))
            refusal = until_ready(answers)
        return refusal


def fill():
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


try:
    log = open(os.path.join(log_folder, "log"), "w")
    filler = os.path.join(folder, "filler")
    make = [program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    make = [*as_user, *make, "-X", os.path.join(log_folder, "wal")]
    subprocess.run(make, cwd=folder, stdout=log, stderr=log, check=True, **user)
    for _ in range(3):
        port = free_port()
        server = start(port)
        if server:
            break
    else:
        sys.exit(open(log.name).read())
    print(port, flush=True)
    for line in sys.stdin:
        answer = "ok"
        match line.strip():
            case "freeze":
                signal_all(signal.SIGSTOP)
            case "thaw":
                signal_all(signal.SIGCONT)
            case "restart":
                stop(signal.SIGINT)
                server = start(port)
            case "crash":
                stop(signal.SIGQUIT)
                server = start(port)
            case "down":
                stop(signal.SIGINT)
            case "up":
                server = start(port)
            case "fill":
                fill()
            case "free":
                os.remove(filler)
            case command if command.startswith("sql "):
                answer = execute(*command.split(" ", 2)[1:]) or "ok"
        print(answer, flush=True)
    signal_all(signal.SIGCONT)
    stop(signal.SIGQUIT)
finally:
    if has_disk:
        subprocess.run(["umount", folder])
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(log_folder, ignore_errors=True)
