"""Objects by URL: a folder, S3 or another object store behind one class. It must not know what the objects mean."""

from shoploop.store import layout
from shoploop.store.objects import Log, Store

__all__ = ["Log", "Store", "layout"]
