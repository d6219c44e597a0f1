"""The chart's pre-delete hook, ``python -m shoploop.controller.uninstall``: refuses while Recommenders exist.

Without an operator a Recommender can be neither served nor deleted: nobody removes its finalizer. It must not know
anything but the API server's address and the pod's own token, so that it works when all else is broken.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shoploop.controller.decide.kinds import RECOMMENDER

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def main() -> int:
    namespaces: list[str | None] = [name for name in os.environ.get("SHOPLOOP_NAMESPACES", "").split(",") if name]
    remaining = [name for namespace in namespaces or [None] for name in recommenders(namespace)]
    if not remaining:
        return 0
    print(
        refusal(remaining, os.environ.get("SHOPLOOP_RELEASE", "shoploop"), os.environ.get("POD_NAMESPACE", "default"))
    )
    return 1


def refusal(names: Iterable[str], release: str, namespace: str) -> str:
    """What a person is told."""
    return (
        f"Refused: Recommenders still exist: {', '.join(sorted(names))}. Delete them first, "
        f"or force it with `helm uninstall {release} -n {namespace} --no-hooks`: then their predictors go on without "
        "anybody to train, repair or delete them."
    )


def recommenders(namespace: str | None) -> list[str]:
    """Names with namespaces of the Recommenders in a namespace, or in the cluster; none where the CRD is gone."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    ask = urllib.request.Request(
        f"https://{f'[{host}]' if ':' in host else host}:{port}{RECOMMENDER.path(namespace)}",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with direct.open(ask, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return []
        raise
    return [f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in found["items"]]


if __name__ == "__main__":
    sys.exit(main())
