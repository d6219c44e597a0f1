"""Where the versions of a Recommender lie, and whether two of them mean one place; pure."""

from urllib.parse import urlsplit

from shoploop.controller.decide.names import Object
from shoploop.store import layout

PORTS = {"http": 80, "https": 443}
AMAZON = ("amazonaws.com", "amazonaws.com.cn")
IN_CLUSTER = (".svc.cluster.local", ".svc")


def place(recommender: Object) -> tuple[str, str] | None:
    """The server and the path, alike for two that mean the same; None where it cannot be somebody else's place, too: a claim
    belongs to one namespace. It is read from a spec that breaks a rule, too: that gives no place away."""
    uri, endpoint = _told(recommender)
    if "://" not in uri or urlsplit(uri).scheme == "file":
        return None
    server = _server(endpoint, recommender["metadata"]["namespace"]) if endpoint and uri.startswith("s3:") else ""
    return server, f"{uri.rstrip('/')}/{layout.recommender(recommender['metadata']['name'])}"


def named(recommender: Object) -> str:
    """The place, in words."""
    server, path = place(recommender) or ("", "its own claim")
    return f"{path} of {_told(recommender)[1]}" if server else path


def _told(recommender: Object) -> tuple[str, str]:
    store = recommender["spec"].get("store") or {}
    return str(store.get("uri") or ""), str(store.get("endpoint") or "")


def _server(endpoint: str, namespace: str) -> str:
    """Whose buckets they are; empty where a bucket's name says that alone, as at Amazon."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".")
    if host.endswith(AMAZON):
        return ""
    for suffix in IN_CLUSTER:
        host = host.removesuffix(suffix)
    if host and "." not in host and ":" not in host:
        host = f"{host}.{namespace}"  # as its pods understand it
    try:
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        port = None
    return f"{host}:{port}{parts.path.rstrip('/')}"
