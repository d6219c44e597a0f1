"""What a predictor is told beside its model: the part of the spec that travels inside the Bento."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from shoploop.api.exploration import ExplorationSpec
from shoploop.api.list_rules import NO_RULES, ListRulesSpec

SETTINGS = "settings.json"


@dataclass(frozen=True, kw_only=True)
class RankerSettings:
    """Of one packaged version."""

    version: str
    """The id that the packaged model must have."""

    item_fields: tuple[str, ...] = ("title",)
    """Columns of the items table that answers carry."""

    deadline_milliseconds: int = 100
    """After this long a request is answered with what there is."""

    allowed_origins: tuple[str, ...] = ()
    """Origins whose pages may ask from a browser; ``*`` is every one."""

    list_rules: ListRulesSpec = NO_RULES
    """What every list must be."""

    exploration: ExplorationSpec | None = None
    """How chance takes part in lists; None: not at all."""

    remembered_items: int = 50_000
    """Of the last answers, to explain them; some 10 MB."""

    max_age_days: int = 7
    """Data older than this is served as of the day after its last, not as of today."""

    events_offset: int = 0
    """Of the last record of the event log that the packaged histories hold; 0 where they hold none."""

    falls_back: Mapping[str, str] = field(default_factory=dict)
    """Surfaces that the gate did not let the model answer, and the simple method of :mod:`shoploop.evaluation.gate` that
    does; none in what was packaged before surfaces had verdicts of their own."""

    warm_up_users: tuple[str, ...] = ()
    """Asked for before the first request is answered."""

    def write(self, folder: Path) -> None:
        specs = {"list_rules": self.list_rules, "exploration": self.exploration}
        documents = {name: spec and spec.model_dump(mode="json", by_alias=True) for name, spec in specs.items()}
        values = asdict(self) | documents
        (folder / SETTINGS).write_text(json.dumps(values, sort_keys=True, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "RankerSettings":
        values = json.loads((folder / SETTINGS).read_text())
        tuples = {name: tuple(values[name]) for name in ("item_fields", "allowed_origins", "warm_up_users")}
        exploration = values.get("exploration")
        specs = {
            "list_rules": ListRulesSpec.model_validate(values.get("list_rules", {})),
            "exploration": exploration and ExplorationSpec.model_validate(exploration),
        }
        return cls(**values | tuples | specs)
