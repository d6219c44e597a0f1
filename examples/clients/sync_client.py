"""Ask a predictor from Python, and tell it what became of its answer: BentoML's client knows the endpoints by itself.

Usage: python sync_client.py [URL [USER]]
"""

import sys
import uuid
from typing import Any

import bentoml


def main(url: str = "http://localhost:3000", user: str = "1") -> dict[str, Any]:
    """The recommendations of a user, the first of which is searched for by its name and clicked."""
    with bentoml.SyncHTTPClient(url) as client:
        answer = client.recommend(user=user, k=5, rules={"nearDuplicates": "SameTitle"})
        for item in answer["items"]:
            print(f"{item['item']:>12}  {item['fields'].get('title') or '':40}  {item['reason']}")
        first = answer["items"][0]
        why = client.explain(request_id=answer["request_id"], item=first["item"])
        for feature in why["features"]:
            print(f"{feature['effect']:+8.2f}  {feature['about']}")
        found = client.search(query=first["fields"].get("title") or first["item"], user=user, k=3)
        print(*(f"{item['item']:>12}  found: {item['reason']}" for item in found["items"]), sep="\n")
        if answer["impression"]:  # None where the predictor collects no events
            click = {"id": uuid.uuid4().hex, "kind": "click", "user": user, "item": first["item"]}
            print(client.events(events=[click | {"impression": answer["impression"]}]))
    return answer


if __name__ == "__main__":
    main(*sys.argv[1:])
