"""Runs inside the cluster: asks a recommender again and again until /tmp/stop exists, then prints what came back.

    python load.py HOST [CLIENTS [PAUSE_SECONDS]]

Standard library only. Half of the clients keep their connection, half make a new one for each request. A kept one that
the server closed between two requests is opened again, as every HTTP client does. One that is refused with 503 because more
is asked than can be answered waits for as long as Retry-After says; such refusals are counted by themselves. All else counts
as a failure.
"""

import http.client
import json
import sys
import threading
import time
from pathlib import Path

HOST = sys.argv[1]
CLIENTS = int(sys.argv[2]) if len(sys.argv) > 2 else 4
PAUSE_SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 0.1
BODY = json.dumps({"user": "1", "k": 3})
STOP = Path("/tmp/stop")


class Refused(Exception):
    """The service has told when to ask again."""

    def __init__(self, seconds: int):
        super().__init__(f"ask again in {seconds} s")
        self.seconds = seconds


class Client(threading.Thread):
    def __init__(self, keeps: bool):
        super().__init__()
        self.keeps = keeps
        self.answered = 0
        self.refused = 0
        self.failures: list[str] = []
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not STOP.exists():
            began = time.time()
            try:
                self.ask()
                self.answered += 1
            except Refused as refusal:
                self.refused += 1
                self.wait(refusal.seconds)
                continue
            except Exception as error:
                self.failures.append(f"{began:.1f} {type(error).__name__}: {error}")
                self.close()
            time.sleep(PAUSE_SECONDS)

    def ask(self) -> None:
        fresh = self.connection is None
        if fresh:
            self.connection = http.client.HTTPConnection(HOST, timeout=15)
        try:
            self.connection.request("POST", "/recommend", BODY, {"content-type": "application/json"})
            answer = self.connection.getresponse()
            body = answer.read()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            if fresh:
                raise
            return self.ask()
        if not self.keeps or answer.getheader("connection") == "close":
            self.close()
        again = answer.getheader("retry-after", "")
        if answer.status == 503 and again.isdecimal() and int(again) > 0:
            raise Refused(int(again))
        if answer.status != 200 or not json.loads(body)["items"]:
            raise RuntimeError(f"{answer.status} {body[:200]!r}")

    def wait(self, seconds: int) -> None:
        """So many seconds, or until all are to stop."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not STOP.exists():
            time.sleep(0.1)

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None


def main() -> None:
    clients = [Client(keeps=number % 2 == 0) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    print("started", flush=True)
    for client in clients:
        client.join()
    failures = [failure for client in clients for failure in client.failures]
    answered, refused = (sum(getattr(client, what) for client in clients) for what in ("answered", "refused"))
    print(json.dumps({"answered": answered, "refused": refused, "failures": failures}))


if __name__ == "__main__":
    main()
