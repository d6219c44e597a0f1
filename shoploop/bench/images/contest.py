"""All methods on finding an item by a photo of it, where no photo of the item was learned from and where some were.

Every item is left out once: the items are cut into parts, and for each part a network learns from the photos of all other
items. Of the items left out it knows what a shop's table says before anybody has a photo: the picture and the text.

Legend: J judged photos, I items, M photos that are learned from, D width.
"""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.bench.images.histograms import histograms, nearest_vote, overlap
from shoploop.bench.images.problems import FOLDS, ImageProblem
from shoploop.compute.cores import one_thread
from shoploop.evaluation.intervals import Bootstrap
from shoploop.evaluation.scoring import comparison, summary
from shoploop.images.learning import LearningConfig, describe, describe_texts, learn_pictures

METRICS = ("hit@1", "hit@5")
MINE, EVEN = "picture_and_text", "picture_and_text_even"
OWN = 0.25
"""What the nearness to the item's own picture counts in EVEN, beside that to its direction."""

KEPT, HELD_OUT = 2 / 3, 10
"""Share of held out photos of known items that are still found where EVEN helps the others; one photo of so many is held out
for that."""

LOOKED_UP = ("colour_photos", "nearest_photos")
"""Methods that look the item's own photos up, the network without having learned from them."""

Say = Callable[[str], None]
Array = npt.NDArray[np.float64]


@one_thread()
def contest(
    problem: ImageProblem,
    *,
    seeds: Sequence[int] = (0,),
    config: LearningConfig | None = None,
    say: Say = lambda what: None,
) -> dict[str, Any]:
    """Runs every method.

    Args:
        problem: Items, and photos to learn from and to judge by.
        seeds: Of the parts, of weights and of views; each is as many trainings as there are parts.
        config: How the network learns; its seed is not used.
        say: Told what begins.

    Returns:
        ``methods``: hit@1 and hit@5 over the judged photos of items whose photos were left out, all items being answers,
        means over seeds with 95 % intervals, items drawn whole; ``looked_up``: those among them that see the item's photos
        when they answer. ``known``: the same where the network has learned from photos of the item. ``comparisons`` of the
        network with everything else; ``chance``, ``items``, ``photos``, ``judged``, ``folds``, ``seeds``, ``parameters``,
        ``seconds``, ``peak_rss_bytes``.
    """
    started = time.perf_counter()
    say("colour histograms")
    simple = simple_scores(problem)
    left_out = {name: _hits(problem, scores) for name, scores in simple.items()}
    known = {name: dict(hits) for name, hits in left_out.items()}
    parameters = 0
    for seed in seeds:
        fold_I = problem.folds(seed)
        for fold in range(FOLDS):
            say(f"seed {seed}: learning without the photos of part {fold + 1} of {FOLDS} of the items")
            out_I = fold_I == fold
            found, parameters = learned_scores(problem, out_I, replace(config or LearningConfig(), seed=seed))
            out_J = out_I[problem.judged_items]
            for name, scores_JI in found.items():
                hits = _hits(problem, scores_JI)
                _add(left_out, name, hits, out_J / len(seeds))
                _add(known, name, hits, ~out_J / len(seeds) / (FOLDS - 1))
                say(
                    f"    {name}: hit@1 {hits['hit@1'][out_J].mean():.3f} left out, {hits['hit@1'][~out_J].mean():.3f} known"
                )
    items = len(problem)
    return {
        "dataset": problem.dataset,
        "items": items,
        "photos": len(problem.photos),
        "judged": len(problem.judged),
        "folds": FOLDS,
        "seeds": list(seeds),
        "chance": {"hit@1": 1 / items, "hit@5": min(5 / items, 1.0)},
        **_compared(problem, left_out, seeds[0]),
        "looked_up": list(LOOKED_UP),
        "known": _compared(problem, known, seeds[0]),
        "parameters": parameters,
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def simple_scores(problem: ImageProblem) -> dict[str, Array]:
    """What colours say, (J, I) each: nearest to the item's picture, and to photos of it."""
    judged = histograms(problem.judged)
    photos_JM = overlap(judged, histograms(problem.photos))
    return {
        "colour_icon": overlap(judged, histograms(problem.icons)),
        "colour_photos": nearest_vote(photos_JM, problem.photo_items, items=len(problem)),
    }


def learned_scores(
    problem: ImageProblem, out_I: npt.NDArray[np.bool_], config: LearningConfig
) -> tuple[dict[str, Array], int]:
    """What a network says that has learned without the photos of some items, (J, I) each, and how many weights it has."""
    known_M = ~out_I[problem.photo_items]
    held_M = known_M & (np.arange(len(known_M)) % HELD_OUT == HELD_OUT - 1)
    kept_M = known_M & ~held_M
    learned = learn_pictures(problem.icons, problem.texts, problem.photos[kept_M], problem.photo_items[kept_M], config)
    judged_JD, photos_MD = (
        describe(learned.encoder.network, pictures) for pictures in (problem.judged, problem.photos)
    )
    icons_ID = describe(learned.encoder.network, problem.icons)
    both_ID = (learned.directions_ID + OWN * icons_ID) / (1 + OWN)
    given = even_help(photos_MD[held_M] @ both_ID.T, problem.photo_items[held_M], out_I)
    scores = {
        MINE: judged_JD @ learned.directions_ID.T,
        EVEN: judged_JD @ both_ID.T + given * out_I,
        "picture": judged_JD @ icons_ID.T,
        "text": judged_JD @ describe_texts(learned.encoder, problem.texts).T,
        "nearest_photos": nearest_vote(judged_JD @ photos_MD.T, problem.photo_items, items=len(problem)),
    }
    return scores, sum(weights.numel() for weights in learned.encoder.parameters())


def even_help(
    scores_HI: npt.NDArray[np.floating], items_H: npt.NDArray[np.integer], out_I: npt.NDArray[np.bool_]
) -> float:
    """What to add to the scores of items without photos, at least 0.

    A photo was never told to be one of them, so that they score lower than those that photos were learned of (calibrated
    stacking; Chao, Changpinyo, Gong, Sha 2016, ECCV). So much is added as leaves :data:`KEPT` of the photos of known items
    that are found without it.

    Args:
        scores_HI: Of photos of known items that were not learned from.
        items_H: What they show.
        out_I: Which items no photo was learned of.
    """
    if not len(scores_HI) or not out_I.any():
        return 0.0
    found_H = scores_HI.argmax(axis=1) == items_H
    room_H = scores_HI.max(axis=1)[found_H] - scores_HI[found_H][:, out_I].max(axis=1)
    return float(np.quantile(room_H, 1 - KEPT)) if len(room_H) else 0.0


def _hits(problem: ImageProblem, scores_JI: npt.NDArray[np.floating]) -> dict[str, Array]:
    """Whether the item of each photo is the first, and among the first five; of equals the first in the table is first."""
    order_JI = np.argsort(-scores_JI, axis=1, kind="stable")
    right_JI = order_JI == problem.judged_items[:, None]
    return {"hit@1": right_JI[:, 0].astype(np.float64), "hit@5": right_JI[:, :5].any(axis=1).astype(np.float64)}


def _add(totals: dict[str, dict[str, Array]], name: str, hits: Mapping[str, Array], weight_J: Array) -> None:
    mine = totals.setdefault(name, {metric: np.zeros(len(weight_J)) for metric in METRICS})
    for metric in METRICS:
        mine[metric] += hits[metric] * weight_J


def _compared(problem: ImageProblem, totals: Mapping[str, Mapping[str, Array]], seed: int) -> dict[str, Any]:
    bootstrap = Bootstrap(len(problem.judged), seed=seed, of_user=problem.judged_items)
    return {
        "methods": {name: summary(hits, bootstrap, METRICS) for name, hits in totals.items()},
        "comparisons": [
            comparison(mine, than, "hit@1", totals, bootstrap)
            for mine in (MINE, EVEN)
            for than in totals
            if than != mine
        ],
    }
