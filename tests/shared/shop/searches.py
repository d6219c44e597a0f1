"""What is searched for in the shop, beside its purchases.

At every visit each shopper types what they buy of their own as it is called, and takes it; dora types "choclate" and takes
soap, which is called otherwise, and ann asks for a "bedtime drink" and takes milk. Somebody who is not known searches for
"sweet" at noon of every tenth day and takes apples.
"""

import polars as pl

from shop import Shop, day

OWN_WORDS = {"ann": "bedtime drink", "dora": "choclate"}


def typed(shop: Shop) -> pl.DataFrame:
    """The canonical table of searches, by time."""
    visits = shop.interactions().unique(["user", "time"], keep="first", maintain_order=True)
    titles = dict(zip(shop.names, shop.titles, strict=True))
    rows = [
        (user, OWN_WORDS.get(user) or titles[item] or item, item, time, "purchase")
        for user, item, time in visits.select("user", "item", "time").rows()
    ]
    rows += [(None, "sweet", "apples", day(on), "click") for on in range(0, shop.days, 10)]
    schema = {
        "user": pl.String,
        "query": pl.String,
        "item": pl.String,
        "time": pl.Datetime("us", "UTC"),
        "kind": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").sort("time", "query", "item", "user", nulls_last=True)
