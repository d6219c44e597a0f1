"""Problems by the name of their dataset; what the product does not bring lies where SHOPLOOP_BENCH_DATA says."""

import os
from pathlib import Path

from shoploop.bench.prediction import next_basket, next_click, next_item, tafeng
from shoploop.bench.prediction.problem import Problem
from shoploop.errors import NotFound, SpecInvalid

PLACE = "SHOPLOOP_BENCH_DATA"
BASKETS, ITEMS, CLICKS = ("completejourney", "tafeng"), ("amazon-beauty",), ("yoochoose",)


def problem_of(dataset: str) -> Problem:
    """The problem of any of the datasets.

    Raises:
        SpecInvalid: no benchmark knows the dataset.
        NotFound: its files are not there.
    """
    if dataset in ITEMS:
        return item_problem(dataset)
    return click_problem(dataset) if dataset in CLICKS else basket_problem(dataset)


def basket_problem(dataset: str, *, offers: bool = False, in_shop: bool = False, back: int = 0) -> Problem:
    """The next basket, on request with what was on offer, with the visit's shop, or as of ``back`` visits before; raises as
    :func:`problem_of`."""
    if dataset == "tafeng":
        if offers:
            raise SpecInvalid("Nothing is known of what was on offer in tafeng. Leave --offers out.")
        if in_shop:
            raise SpecInvalid("Nothing is known of shops in tafeng. Leave --store-known out.")
        if back:
            raise SpecInvalid("Of tafeng only the last visits are asked for. Leave --targets out.")
        return tafeng.of_folder(folder_of(dataset))
    if dataset not in BASKETS:
        raise _unknown(dataset, BASKETS)
    return next_basket.of_dataset(dataset, offers=offers, in_shop=in_shop, back=back)


def item_problem(dataset: str) -> Problem:
    """The next item; raises as :func:`problem_of`."""
    if dataset not in ITEMS:
        raise _unknown(dataset, ITEMS)
    problem = next_item.leave_last_out(next_item.read_reviews(folder_of(dataset)), dataset)
    return problem.checked(next_item.COUNTS[dataset])


def click_problem(dataset: str) -> Problem:
    """The next click; raises as :func:`problem_of`."""
    if dataset not in CLICKS:
        raise _unknown(dataset, CLICKS)
    problem = next_click.of_clicks(next_click.read_clicks(folder_of(dataset)), dataset)
    return problem.checked(next_click.COUNTS[dataset])


def folder_of(dataset: str) -> Path:
    """Where the evaluation data of this name lies.

    Raises:
        NotFound: nobody says where evaluation data lies.
    """
    place = os.environ.get(PLACE)
    if not place:
        raise NotFound(
            f"The dataset {dataset} is none of the product's. Set {PLACE} to the folder of the evaluation data."
        )
    return Path(place) / dataset


def _unknown(dataset: str, known: tuple[str, ...]) -> SpecInvalid:
    return SpecInvalid(f"No such benchmark knows the dataset {dataset}. It knows {' and '.join(known)}.")
