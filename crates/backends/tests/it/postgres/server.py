"""Runs one PostgreSQL server until standard input ends: the pipe is closed when the test process ends, however it ends.

usage: server.py BIN_FOLDER

Prints the port when the server takes connections. Then each line of input is one command, answered by `ok`: `freeze` and
`thaw` stop and continue all of its processes, `restart` ends and starts it, `crash` does the same without a warning to it,
and `sql DATABASE STATEMENT` executes one statement as the administrator.
"""

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

bin_folder = sys.argv[1]
folder = tempfile.mkdtemp(prefix="keelson-postgres-")
data = os.path.join(folder, "data")
# PostgreSQL refuses to run as root.
user = {}
if os.getuid() == 0:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    owner = known.get("postgres") or known["nobody"]
    user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    os.chown(folder, owner.pw_uid, owner.pw_gid)


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
    server = subprocess.Popen([program("postgres"), "-D", data, *options], cwd=folder, stdout=log, stderr=log, **user)
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


try:
    log = open(os.path.join(folder, "log"), "w")
    make = [program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
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
            case command if command.startswith("sql "):
                answer = execute(*command.split(" ", 2)[1:]) or "ok"
        print(answer, flush=True)
    signal_all(signal.SIGCONT)
    stop(signal.SIGQUIT)
finally:
    shutil.rmtree(folder, ignore_errors=True)
