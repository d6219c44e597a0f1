"""Who is asked for: what an encoder of users is told of each. Apart, since who only speaks of it needs no model."""

from datetime import datetime
from typing import NamedTuple

from shoploop.events.fresh import Done


class Asked(NamedTuple):
    """Whose state, and when."""

    user: str
    fresh: tuple[Done, ...]
    """What they did since the stored history was made."""

    time: datetime
