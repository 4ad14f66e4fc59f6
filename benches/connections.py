#!/usr/bin/env python3
"""What callers notice of a server that moves: its connections stay on the first node, which passes on.

    benches/connections.py [BRANT]          default: target/release/brant

A server that echoes is started on one of two nodes on this host, over Unix sockets and over TLS. Callers
send RATE requests a second in all, each with its number, over some connections, and one more connection
is made and ended for each move. The server moves MOVES times between the nodes.

Printed for each transport: requests sent, answered, out of order or changed, connections that broke; the
time to an answer while the server stands still, and the longest one of each move (median and worst).

Times depend on the machine and on who else uses it.
"""

import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time

RATE = 1_000
CONNECTIONS = 8
MOVES = 10
# Between two moves; before the first one and behind the last one too.
PAUSE_S = 0.5

HERE = os.path.dirname(os.path.abspath(__file__))
ECHO = os.path.join(HERE, "..", "programs", "bin", "echo.wasm")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(port):
    until = time.monotonic() + 20
    while True:
        try:
            caller = socket.create_connection(("127.0.0.1", port), timeout=20)
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return caller
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


class Callers:
    """Sends requests at a steady rate, and checks each answer."""

    def __init__(self, port):
        self.sockets = [call(port) for _ in range(CONNECTIONS)]
        # When each request of a connection was sent, and what of its answers has come.
        self.sent = [[] for _ in self.sockets]
        self.heard = [b"" for _ in self.sockets]
        self.answered = [0 for _ in self.sockets]
        self.latencies = []  # (when it was sent, how long it took)
        self.wrong = self.broken = 0
        self.is_over = False
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.hear)]
        for thread in self.threads:
            thread.start()

    def send(self):
        began, count = time.monotonic(), 0
        while not self.is_over:
            number = count % CONNECTIONS
            self.sent[number].append(time.monotonic())
            try:
                self.sockets[number].sendall(b"%15d\n" % (len(self.sent[number]) - 1))
            except OSError:
                self.broken += 1
                return
            count += 1
            time.sleep(max(0, began + count / RATE - time.monotonic()))

    def hear(self):
        selector = selectors.DefaultSelector()
        for number, caller in enumerate(self.sockets):
            selector.register(caller, selectors.EVENT_READ, number)
        while True:
            for key, _ in selector.select(0.2):
                number = key.data
                try:
                    more = self.sockets[number].recv(1 << 16)
                except OSError:
                    more = b""
                if not more:
                    self.broken += 1
                    selector.unregister(self.sockets[number])
                    continue
                now = time.monotonic()
                self.heard[number] += more
                while len(self.heard[number]) >= 16:
                    answer, self.heard[number] = self.heard[number][:16], self.heard[number][16:]
                    expected = self.answered[number]
                    if answer != b"%15d\n" % expected:
                        self.wrong += 1
                    self.latencies.append((self.sent[number][expected], now - self.sent[number][expected]))
                    self.answered[number] += 1
            all_sent = sum(len(sent) for sent in self.sent)
            if self.is_over and (sum(self.answered) == all_sent or self.broken or not selector.get_map()):
                return

    def end(self):
        self.is_over = True
        for thread in self.threads:
            thread.join(20)
        for caller in self.sockets:
            caller.close()


def measure(brant, folder, transport):
    environment = dict(os.environ, XDG_RUNTIME_DIR=folder)
    if transport == "TLS":
        environment["BRANT_TLS"] = os.path.join(folder, "tls")
        subprocess.run([brant, "node", "init", environment["BRANT_TLS"]], check=True)

    def run(*args):
        return subprocess.run([brant, *args], check=True, env=environment, capture_output=True, text=True).stdout

    port, nodes, addresses = free_port(), [], []
    try:
        for name in ("one", "two"):
            listen = "127.0.0.1:0" if transport == "TLS" else "unix:" + os.path.join(folder, name)
            command = [brant, "node", "--listen", listen, "--state", os.path.join(folder, transport + name)]
            command += ["--allow", f"echo.wasm=serve=127.0.0.1:{port}"] if name == "one" else []
            node = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            nodes.append(node)
            addresses.append(node.stdout.readline().split("listening on ")[1].strip())
        program = run("push", ECHO, addresses[0]).strip()
        callers = Callers(port)
        time.sleep(2 * PAUSE_S)
        moves = []
        for move in range(MOVES):
            here, there = addresses[move % 2], addresses[1 - move % 2]
            began = time.monotonic()
            run("migrate", program, there, "--from", here)
            moves.append((began, time.monotonic()))
            with call(port) as late:
                late.sendall(b"called late")
                assert late.recv(64) == b"called late"
            time.sleep(PAUSE_S)
        callers.end()
    finally:
        for node in nodes:
            node.terminate()
            node.wait()
    sent = sum(len(sent) for sent in callers.sent)
    print(f"{transport}: {sent} requests on {CONNECTIONS} connections at {RATE} a second, {MOVES} moves")
    print(f"  answered {sum(callers.answered)}, wrong or out of order {callers.wrong}, "
          f"connections broken {callers.broken}")
    ms = lambda seconds: f"{seconds * 1e3:.2f} ms"
    before = sorted(took for at, took in callers.latencies if at < moves[0][0])
    print(f"  to an answer at home: p50 {ms(before[len(before) // 2])}, p99 {ms(before[len(before) * 99 // 100])}")
    abroad = sorted(
        took for at, took in callers.latencies
        for (_, last), (first, _) in zip(moves[::2], moves[1::2]) if last + 0.1 < at < first - 0.1)
    print(f"  to an answer abroad: p50 {ms(abroad[len(abroad) // 2])}, p99 {ms(abroad[len(abroad) * 99 // 100])}")
    worst = sorted(
        max((took for at, took in callers.latencies if at <= last + 0.1 and at + took >= first), default=0)
        for first, last in moves)
    print(f"  the longest answer of each move: median {ms(worst[len(worst) // 2])}, worst {ms(worst[-1])}")


def main():
    brant = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/brant")
    for transport in ("Unix", "TLS"):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o700)
            measure(brant, folder, transport)


if __name__ == "__main__":
    main()
