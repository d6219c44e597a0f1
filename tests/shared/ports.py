"""Ports for servers of the tests, which nothing else on the machine is given in between."""

import random
import socket
from contextlib import ExitStack
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 12000


def free_ports(count: int, beside: int = 0) -> list[int]:
    """Ports that nobody listens on, nor on the ``beside`` ports that follow each; all held at once, so that they differ.

    They lie below those that the kernel gives to whoever connects: between the moment at which a port is seen free and
    the one at which a server takes it, a connection of another test would otherwise take it now and then.
    """
    below, above = map(int, _EPHEMERAL.read_text().split()) if _EPHEMERAL.exists() else (32768, 60999)
    places = [
        place for place in (range(_LOWEST, below - beside), range(above + 1, 65535 - beside)) if len(place) > 1000
    ]
    places = places or [range(_LOWEST, 65535 - beside)]  # a machine that gives out all of them
    chance = random.SystemRandom()  # not a seed's: processes side by side must differ
    found: list[int] = []
    with ExitStack() as held:
        for _ in range(1000):
            if len(found) == count:
                break
            port = chance.choice(chance.choice(places))
            with ExitStack() as attempt:
                try:
                    for each in range(port, port + beside + 1):
                        attempt.enter_context(socket.socket()).bind(("127.0.0.1", each))
                except OSError:
                    continue
                held.enter_context(attempt.pop_all())
            found.append(port)
    assert len(found) == count, f"no {count} free ports in {places}"
    return found
