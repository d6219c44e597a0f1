"""What a recommender is called: in a store two of one name are one, and logs have the same few names everywhere."""

import re
from itertools import count
from os.path import realpath
from pathlib import Path

from shoploop.api import load
from shoploop.api.fields import NAME_LENGTH
from shoploop.data import resolve_uris
from shoploop.errors import ShoploopError

TELLS_NOTHING = frozenset(
    "action actions click clicks csv data dataset download downloads event events export exports file files history input "
    "interaction interactions json log logs order orders parquet purchase purchases raw sale sales table tables tmp "
    "transaction transactions".split()
)
"""Words that tell no shop from another."""

NAMELESS = "myshop"


def name_for(events: str, place: str, out: Path) -> str:
    """After the log, or after its folder where its own name is anybody's; with a number where a YAML beside ``out`` gives
    that name to another log.

    Args:
        events: The log's uri, as a person typed it.
        place: The same, wherever it is looked at from.
        out: The YAML that will be written.
    """
    name = _called(events)
    taken = _others(place, out)
    numbered = (f"{name[: NAME_LENGTH - 5].rstrip('-')}-{number}" for number in count(2))
    return name if name not in taken else next(another for another in numbered if another not in taken)


def _called(events: str) -> str:
    scheme, _, rest = events.rpartition("://")
    parts = rest.rstrip("/").split("/")[1 if scheme else 0 :]  # a host or a bucket is nobody's name
    words = [word for word in map(_word, reversed(parts)) if word][:3]  # the file, its folder, the folder of that
    telling = [word for word in words if word not in TELLS_NOTHING and word[0].isalpha()]
    numbers = [word for word in words[1:2] if word[0].isdigit()]  # a year, which is no name by itself
    name = "-".join(telling[:1] or words[:1] + numbers)[:NAME_LENGTH].strip("-")
    return name if re.match(r"[a-z]", name) else NAMELESS


def _word(part: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", part.split(".")[0].lower()).strip("-")


def _others(place: str, out: Path) -> set[str]:
    """Names that YAMLs beside ``out`` give to other logs."""
    names = set()
    folder = out.absolute().parent
    for path in {*folder.glob("*.yaml"), *folder.glob("*.yml")} - {out.absolute()}:
        try:
            found = load(path)
        except ShoploopError:
            continue
        tables = resolve_uris(found.spec.data, folder).tables
        if tables is None or realpath(tables.interactions.uri) != realpath(place):
            names.add(found.metadata.name)
    return names
