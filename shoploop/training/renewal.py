"""A version brought up to date without training: the weights of one that serves, and what is known of users and items by now.

Taste moves faster than anybody trains. What a model knows besides its weights (what follows what, neighbours, factors,
searches) are functions of a log and a day, so they are made anew from the log of now, by the functions of a run; the factors
are turned to where the weights expect them. Items that were not there when the weights learned get what the log says of
them. docs/decisions/0117.

Legend: I items.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.compute.cores import one_thread
from shoploop.data.picture_files import ENCODER_CONFIG
from shoploop.data.splits import TimeSplit
from shoploop.errors import ContractMismatch, UserError
from shoploop.features.catalog import Catalog, CatalogConfig, renewed
from shoploop.features.catalogs import Catalogs, following
from shoploop.features.contract import OF_OFFERS, PAIR_FEATURES, Contract
from shoploop.features.habits import PARTITIONS
from shoploop.features.log import PurchaseLog, Vocabulary
from shoploop.ranking.known import iso
from shoploop.samples.search_step import known_searches
from shoploop.samples.step import read_log
from shoploop.surfaces.search.asked import item_texts
from shoploop.versions.artifact import MOST_RENEWALS, RENEWALS, WEIGHTS_OF, Version, write_version
from shoploop.versions.loading import load_trained
from shoploop.versions.trained import TrainedModel
from shoploop.versions.vocabulary import on_vocabulary, with_kinds


class NothingToRenew(UserError):
    """The version knows all that there is to know."""


class DataOlder(UserError):
    """The version knows later things than the data holds."""


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """What a renewal came to."""

    version: str
    parent: str
    weights_of: str
    """The version that was trained, and whose weights it has."""

    through: str
    """Last day of the data, ISO 8601."""

    before: str
    """The same of the parent."""

    learned: str
    """Last day that the weights have learned from; a renewal does not move it."""

    items: int
    """That the version knows."""

    new_items: int
    """Of these, those that the parent did not."""


@one_thread()
def renew_model(*, data: Path, features: Path, parent: Path, out: Path) -> Renewed:
    """Writes a version with the weights of another, and with what ``data`` says of items.

    Args:
        data: Folder of ``load_data``.
        features: Folder of ``materialize_features``; ``contract.json`` in it is replaced by the parent's, where both can
            be served from what lies there.
        parent: Folder of the version to renew.
        out: The version's folder.

    Raises:
        NothingToRenew: the parent was made of the same tables.
        DataOlder: it was made of later ones.
        ContractMismatch: the tables say less of users and items than the weights have learned from.
        ArtifactCorrupt, ArtifactForeign: the parent must not be used.
    """
    version, before = load_trained(parent)
    materialized = json.loads((features / "features.json").read_text())
    loaded = json.loads((data / "load.json").read_text())
    tables = {name: table["sha256"] for name, table in loaded["tables"].items()}
    last_day = materialized["serving_day"] - 1
    _hold_newer(version, tables, last_day, loaded.get("rules", []))
    keep_contract(version, features)
    vocabulary = Vocabulary.of_features(features)
    items = pl.read_parquet(data / "items.parquet")
    log = read_log(data, vocabulary, sessions=before.sessions)
    trained = _as_of_now(before, version, log, items, data=data, materialized=materialized, parent=parent)
    lineage = {
        "tables": tables,
        "last_day": last_day,
        "parent": version.id,
        WEIGHTS_OF: version.weights_of,
        RENEWALS: list(version.same_weights[1:][-MOST_RENEWALS:]),
    }
    made = write_again(out, version, trained, items, lineage)
    return Renewed(
        version=made.id,
        parent=version.id,
        weights_of=version.weights_of,
        through=iso(last_day),
        before=iso(version.lineage["last_day"]),
        learned=iso(version.lineage["last_training_day"]),
        items=len(vocabulary),
        new_items=int((before.vocabulary.encode(list(vocabulary.items)) < 0).sum()),
    )


def write_again(
    out: Path, version: Version, trained: TrainedModel, items: pl.DataFrame, lineage: dict[str, Any]
) -> Version:
    """Writes a version that was loaded with the same weights and other knowledge.

    Args:
        out: Its folder.
        version: The one that was loaded.
        trained: Its model, with what is known instead.
        items: What the data says of items.
        lineage: What is otherwise in its lineage.
    """
    described = items.unique("item", keep="first", maintain_order=True)
    return write_version(
        out,
        tensors=trained.tensors(),
        config=trained.config(),
        contract=version.contract,
        items=trained.vocabulary.frame().join(described, on="item", how="left", maintain_order="left").to_arrow(),
        lineage=version.lineage | lineage,
        metrics=version.manifest["metrics"],
        extra_files=version.extra_files | trained.extra_files(),
    )


def _hold_newer(version: Version, tables: Mapping[str, str], last_day: int, rules: Sequence[Mapping[str, Any]]) -> None:
    known = version.lineage["last_day"]
    if last_day == known and dict(tables) == version.lineage["tables"]:
        left_out = [rule for rule in rules if (rule["table"], rule["action"]) == ("interactions", "dropped")]
        # whoever has compacted just now would be told to compact, though their events were read and left out
        why = "What shoppers did since comes into them by `shoploop events compact`, where spec.data.feedback is set."
        if left_out:
            names = ", ".join(f"{rule['rows']:,} by {rule['name']}" for rule in left_out)
            why += f" If it was compacted, loading may have left it out: of the interactions it dropped {names} (load.json)."
        raise NothingToRenew(
            f"Version {version.id} was made of these very tables: there is nothing new that it could know. {why}"
        )
    if last_day < known:
        raise DataOlder(
            f"The data ends on {iso(last_day)}, and version {version.id} knows what was up to {iso(known)}. Look whether "
            "the tables are whole."
        )


def keep_contract(version: Version, features: Path) -> None:
    """Has the features be of the version's own contract, if all that it names is there: which kinds of day tell, or which
    levels an attribute has, may be found otherwise in other data, and the weights know what they have learned from."""
    own = Contract.from_json(version.contract)
    at_hand = Contract.from_json(json.loads((features / "contract.json").read_text()))
    wanted = _columns(own)
    if missing := sorted(wanted - _columns(at_hand)):
        raise ContractMismatch(
            f"Version {version.id} has learned from {', '.join(missing)}, which these tables do not say any more. Bring it "
            "back, or train a version on what there is: `shoploop run`."
        )
    file = features / "contract.json"
    file.unlink()  # it may be a link to what a step has written
    file.write_text(json.dumps(version.contract, indent=1) + "\n")


def _columns(contract: Contract) -> set[str]:
    """What a contract needs of the tables; features of kinds of day can always be made, and those of a kind of offers where
    there are any: of one that is no more there is nothing on offer."""
    pairs = set(contract.pair_features) - {f.name for f in PAIR_FEATURES if f.needs in PARTITIONS} - OF_OFFERS
    pairs |= {"what is on offer"} if contract.offer_kinds else set()
    attributes = {f"the attribute {attribute.name}" for attribute in contract.user_attributes}
    return {*contract.user_stats, *contract.item_stats, *contract.shop_stats, *pairs, *attributes}


def _as_of_now(
    before: TrainedModel,
    version: Version,
    log: PurchaseLog,
    items: pl.DataFrame,
    *,
    data: Path,
    materialized: Mapping[str, Any],
    parent: Path,
) -> TrainedModel:
    config = CatalogConfig(seed=version.lineage["seed"])
    trained = on_vocabulary(before, log.vocabulary)
    # of items with pictures those without factors have some of what they look like, and are not known by them
    pictured = ENCODER_CONFIG in version.extra_files
    kinds = _with_kinds(trained.catalog, before, version, log.vocabulary, items)
    catalog = renewed(kinds, log, config, anew=pictured)
    day = materialized["serving_day"]
    catalogs: Catalogs = following(catalog, log, [day], config)
    if pictured:
        from shoploop.images.encoder import as_pictured  # a shop without pictures does not load what learns from them

        catalogs = as_pictured(catalogs, data, items, log.vocabulary, parent)
    texts = tuple(item_texts(items, log.vocabulary.items))
    searches = trained.searches
    if searches is not None:
        windows = TimeSplit.from_json(materialized["split"])
        searches = known_searches(data, log, texts, windows, seed=version.lineage["seed"])
        trained.model.searching().set_names(texts)
    return replace(trained, searches=searches, texts=texts).with_catalog(catalogs.serving)


def _with_kinds(
    catalog: Catalog, before: TrainedModel, version: Version, vocabulary: Vocabulary, items: pl.DataFrame
) -> Catalog:
    """Items that the version did not know are of the kind and the group of those that lie in the same category there; a
    category that is new is a new kind."""
    known = pl.DataFrame(version.items)
    if before.catalog.kinds == 1 or "category" not in known.columns:
        return catalog
    codes = before.vocabulary.encode(known["item"].to_list())
    lies = [
        (code, category)
        for code, category in zip(codes.tolist(), known["category"].to_list(), strict=True)
        if code >= 0
    ]
    kinds = _most(((_path(category), int(before.catalog.kind_I[code])) for code, category in lies))
    groups = _most(((_group(category), int(before.catalog.group_I[code])) for code, category in lies))
    described = items.unique("item", keep="first", maintain_order=True)
    paths = dict(zip(described["item"].to_list(), described["category"].to_list(), strict=True))
    kind_I, group_I = catalog.kind_I.copy(), catalog.group_I.copy()
    # those that nobody knew have come in with codes behind the others
    next_kind, next_group = before.catalog.kinds, int(before.catalog.group_I.max(initial=0)) + 1
    for code in np.flatnonzero(before.vocabulary.encode(list(vocabulary.items)) < 0).tolist():
        category = paths.get(vocabulary.items[code])
        kind_I[code] = kinds.setdefault(_path(category), next_kind)
        group_I[code] = groups.setdefault(_group(category), next_group)
        next_kind, next_group = max(next_kind, kind_I[code] + 1), max(next_group, group_I[code] + 1)
    log_odds_CB = with_kinds(before.catalog.log_odds_CB, int(next_kind) - before.catalog.kinds)
    return replace(catalog, kind_I=kind_I, group_I=group_I, log_odds_CB=log_odds_CB)


def _most(of: Iterable[tuple[tuple[str, ...], int]]) -> dict[tuple[str, ...], int]:
    """The code that most of each category have: an item that has moved keeps the one that it had."""
    counts: dict[tuple[str, ...], Counter[int]] = {}
    for path, code in of:
        counts.setdefault(path, Counter())[code] += 1
    return {path: found.most_common(1)[0][0] for path, found in counts.items()}


def _path(category: Sequence[str] | None) -> tuple[str, ...]:
    """A category; nothing, where nothing is known of one."""
    return tuple(category or ())


def _group(category: Sequence[str] | None) -> tuple[str, ...]:
    """The category one level up; of one without a level above, itself."""
    path = _path(category)
    return path[:-1] if len(path) > 1 else path
