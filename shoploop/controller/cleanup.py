"""``python -m shoploop.controller.cleanup``: removes one recommender's part of a store, in a pod of its own.

The operator has no access to stores, so that it needs no keys to them.
"""

import argparse
import sys

from shoploop.errors import ShoploopError
from shoploop.store import Store, layout


def clean(store: Store, recommender: str) -> int:
    """Deletes everything below ``recommenders/<name>/``; returns how many objects that was."""
    keys = list(store.list(f"{layout.recommender(recommender)}/"))
    for key in keys:
        store.delete(key)
    return len(keys)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="URL of the store")
    parser.add_argument("--recommender", required=True, help="whose part is removed")
    chosen = parser.parse_args(arguments)
    try:
        count = clean(Store(chosen.store), chosen.recommender)
    except ShoploopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"Removed {count} objects of {chosen.recommender} from {chosen.store}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
