"""Logs as other people's systems write them, line by line."""

from datetime import datetime, timedelta

ROWS = [
    (n * 7 % 23, 1000 + n * 5 % 17, datetime(2024, 1, 1, 8) + timedelta(minutes=97 * n)) for n in range(200)
]  # fmt: skip
"""User, item and time."""


def text(line, *, header=""):
    return (header + "".join(line(n, *row) + "\n" for n, row in enumerate(ROWS))).encode()


def shop(n):
    return ["view", "view", "addtocart", "transaction"][n % 4]
