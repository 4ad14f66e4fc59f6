#!/usr/bin/env python3
"""An echo server on brant against the same one natively, with epoll.

    benches/network.py [BRANT]          default: target/release/brant

A load generator has CONNECTIONS connections, each of which sends its next message of 64 bytes as soon as
the last one has come back. The servers take turns, ROUNDS times; printed are the medians: answers a second,
the time to an answer (median and 99th percentile), and the rate against the native server. brant runs
programs/bin/echo.wasm twice: with a listener that it was given (--listen), and with one that it has opened
itself (--net). No peer of benches/install-peers.sh gives a guest a socket that listens: wasmtime 49 has given
up `tcplisten` with the old implementation of preview 1.

Needs a C compiler. Times depend on the machine and on who else uses it.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CONNECTIONS = 1_000
SECONDS = 2
BYTES = 64
ROUNDS = 5

HERE = os.path.dirname(os.path.abspath(__file__))
ECHO = os.path.join(HERE, "..", "programs", "bin", "echo.wasm")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def compiled(folder, name):
    path = os.path.join(folder, name)
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O2", "-o", path, os.path.join(HERE, "echo", name + ".c")], check=True)
    return path


def wait_for(port):
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except ConnectionRefusedError:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)


def measure(command, port, load):
    """Answers a second, and the median and the 99th percentile of the time to one, in microseconds."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if not wait_for(port):
            return None
        run = [load, str(port), str(CONNECTIONS), str(SECONDS), str(BYTES)]
        done = subprocess.run(run, capture_output=True, text=True)
        return tuple(map(float, done.stdout.split())) if done.returncode == 0 else None
    finally:
        server.kill()
        server.wait()


def main():
    brant = sys.argv[1] if len(sys.argv) > 1 else "target/release/brant"
    with tempfile.TemporaryDirectory() as folder:
        server, load = compiled(folder, "server"), compiled(folder, "load")
        servers = {
            "native, epoll": lambda port: [server, str(port)],
            "brant --listen": lambda port: [brant, "run", "--max-open-files", "4096", "--max-sockets", "4096",
                                            "--listen", f"127.0.0.1:{port}", ECHO],
            "brant --net": lambda port: [brant, "run", "--max-open-files", "4096", "--max-sockets", "4096",
                                         "--net", f"listen:127.0.0.1:{port}", ECHO, f"127.0.0.1:{port}"],
        }
        found = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, command in servers.items():
                port = free_port()
                measured = measure(command(port), port, load)
                if measured:
                    found[name].append(measured)
    print(f"{CONNECTIONS} connections, {BYTES} bytes, {ROUNDS} rounds of {SECONDS} s")
    native = statistics.median(rate for rate, _, _ in found["native, epoll"])
    for name, all_measured in found.items():
        if not all_measured:
            print(f"{name:20} does not serve")
            continue
        rate, p50, p99 = (statistics.median(column) for column in zip(*all_measured))
        print(f"{name:20} {rate:8.0f} a second  p50 {p50 / 1e3:6.2f} ms  p99 {p99 / 1e3:6.2f} ms  {rate / native:.2f} of native")


if __name__ == "__main__":
    main()
