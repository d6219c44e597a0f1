"""The version that serves, on the queries and the visits to shops of an evaluation, with what is known by then: as
:mod:`shoploop.evaluation.incumbent` asks it for recommendations.

Legend: Q requests.
"""

from pathlib import Path

import numpy as np
import polars as pl

from shoploop.data.splits import TimeSplit
from shoploop.evaluation.incumbent import Incumbent, Metrics, Served, on_all
from shoploop.evaluation.scoring import model_scores, request_metrics
from shoploop.evaluation.shopping import visit_metrics
from shoploop.models.fusion import Surface
from shoploop.samples.sample_set import SampleSet
from shoploop.samples.search_step import searches_of_run
from shoploop.samples.searching import SearchSources, assemble_searches
from shoploop.surfaces.search.asked import NOBODY, Asked, item_texts
from shoploop.surfaces.search.memory import QueryMemory
from shoploop.surfaces.search.names import Names
from shoploop.versions.vocabulary import on_shops


def that_searches(served: Served | Incumbent | None) -> Served | None:
    """The version that serves, where its model answers queries: else there is nothing to hold a new one's against."""
    return _answering(served, "search")


def that_chooses_shops(served: Served | Incumbent | None) -> Served | None:
    """The same of the choice of a shop."""
    return _answering(served, "shops")


def _answering(served: Served | Incumbent | None, surface: Surface) -> Served | None:
    if not isinstance(served, Served) or surface in (served.record.falls_back or {}):
        return None
    return served if surface in served.trained.model.config.surfaces else None


def on_queries(samples: SampleSet, *, served: Served, data: Path, windows: TimeSplit, seed: int) -> Metrics:
    """Its metrics on queries, each with what was asked and taken before.

    Args:
        samples: The queries of evaluation.
        served: The version that serves; it searches.
        data: Folder of ``load_data``.
        windows: The run's days.
        seed: Of queries that are made of names.

    Raises:
        NotComparable: it has learned from nearly all.
    """
    later_Q = served.later(samples, "queries")
    log, queries = served.sources.log, samples.queries
    assert queries is not None, "a search has a query"
    texts = item_texts(pl.read_parquet(data / "items.parquet"), log.vocabulary.items)
    searched, _ = searches_of_run(data / "searches.parquet", log, texts, windows, seed=seed)
    asked = [
        Asked(
            user=int(samples.users_Q[q]),
            day=int(samples.days_Q[q]),
            query=queries[q],
            items=tuple(samples.truth(q).tolist()),
        )
        for q in np.flatnonzero(later_Q).tolist()
    ]
    users = served.joins.users(
        [log.users[each.user] if each.user != NOBODY else "" for each in asked], [each.day for each in asked]
    )
    sources = SearchSources(names=Names(texts), memory=QueryMemory(searched, len(log.vocabulary)), pairs=served.sources)
    model = served.trained.model
    model.searching().set_names(texts)  # as a renewal sets them
    own = SampleSet.concat(list(assemble_searches(asked, users, sources)))
    return on_all(later_Q, request_metrics(own, model_scores(model, own, surface="search")["fused"]))


def on_visits(samples: SampleSet, *, served: Served, shops: tuple[str, ...]) -> Metrics:
    """Its metrics on visits to shops.

    Args:
        samples: The visits of evaluation.
        served: The version that serves; it chooses shops.
        shops: Those of the samples, in the order of their codes.

    Raises:
        NotComparable: it has learned from nearly all.
    """
    later_Q = served.later(samples, "visits to shops")
    own = samples.select(np.flatnonzero(later_Q))
    model = on_shops(served.trained, shops).model
    return on_all(later_Q, visit_metrics(own, model_scores(model, own, surface="shops")["fused"]))
