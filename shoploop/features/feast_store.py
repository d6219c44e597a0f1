"""Feast on one features folder: its repository applied, its point-in-time joins, its online store.

Importing this module is cheap; Feast itself, which takes some five seconds, is imported by the first call that needs
it.

A features folder holds the Parquet files of the views, ``contract.json`` and ``feast/``: a copy of ``feature_repo/``
with the registry and, for SQLite, the online store. All paths in there are relative, so the folder may be copied and
moved.
"""

import contextlib
import importlib.util
import io
import os
import shutil
import sqlite3
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from shoploop.api.v1alpha1 import OnlineStoreSpec
from shoploop.errors import NotFound, SpecInvalid, first_line
from shoploop.features import sqlite_online
from shoploop.features.bounded_reads import FeatureStoreUnavailable
from shoploop.features.sqlite_online import write_latest
from shoploop.shells import shells_folder

REPOSITORY = "feast"
"""Folder of the repository's copy inside a features folder."""

ROW_ID = "row_id"
"""Carried through a join, whose row order is not the entity table's."""

WRITE_SECONDS = 30.0
"""That a Redis may take to answer a step."""


def check_online_store(online_store: OnlineStoreSpec) -> None:
    """Makes sure that an online store can be reached by what the spec says.

    Raises:
        SpecInvalid: Redis is wanted without a connection.
    """
    if online_store.type == "Redis" and not online_store.connection:
        raise SpecInvalid(
            "spec.features.onlineStore: type Redis needs connection, e.g. {type: Redis, connection: redis:6379}."
        )


def write_repository(folder: Path, *, project: str, online_store: OnlineStoreSpec) -> None:
    """Copies ``feature_repo/`` into the features folder, with the spec's online store.

    Raises:
        SpecInvalid: Redis is wanted without a connection.
    """
    check_online_store(online_store)
    source, target = shells_folder() / "feature_repo", folder / REPOSITORY
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "definitions.py", target / "definitions.py")
    config = yaml.safe_load((source / "feature_store.yaml").read_text())
    config["project"] = project
    if online_store.type == "Redis":
        config["online_store"] = {"type": "redis", "connection_string": online_store.connection}
    (target / "feature_store.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def apply(folder: Path) -> Any:
    """``feast apply``: registers the folder's definitions and makes the online tables; returns Feast's FeatureStore."""
    store = open_store(folder, must_exist=False)
    definitions = _definitions(folder)
    objects = [definitions.user, definitions.item, definitions.shop, *definitions.views, definitions.request]
    with _offline(folder):
        store.apply(objects)
    return store


def entities(store: Any, folder: Path, view: str) -> frozenset[str] | None:
    """Who has a row of a view in an online store that is a file; None where it is none, and has to be asked.

    To ask Feast for the many of whom it knows nothing costs a hundred times what it costs to know that.
    """
    if store.config.online_store.type != "sqlite":
        return None
    from feast.infra.key_encoding_utils import deserialize_entity_key

    file = _online_file(store, folder)
    table = f"{store.project}_{view}".replace('"', "")
    with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        keys = connection.execute(f'SELECT DISTINCT entity_key FROM "{table}"').fetchall()
    version = store.config.entity_key_serialization_version
    return frozenset(deserialize_entity_key(key, version).entity_values[0].string_val for (key,) in keys)


def row_reader(store: Any, folder: Path, views: Mapping[str, Sequence[str]]) -> Callable[[str], dict[str, Any]] | None:
    """Reads one user's row of all views from an online store that is a file: what ``get_online_features`` answers, in a tenth
    of the time, most of which that spends on planning the same reads anew and on times that nobody asks for. None where the
    online store is no file that is there: another one is asked for all views at once by Feast.

    Args:
        store: From :func:`open_store`.
        folder: The features folder.
        views: Names of features by the view that holds them; all views are of users.

    Returns:
        Of a user's id the features by name, None where the store has none. One caller at a time.
    """
    if store.config.online_store.type != "sqlite":
        return None
    file = _online_file(store, folder)
    return sqlite_online.row_reader(store, file, views) if file.is_file() else None


def rows_reader(
    store: Any, folder: Path
) -> Callable[[str, Sequence[str], str, Sequence[str]], dict[str, list[Any]]] | None:
    """Reads many entities' rows of one view from an online store that is a file: what ``get_online_features`` answers, in a
    third of the time. None as for :func:`row_reader`.

    Returns:
        Of a view, the names of its features, the name of its entity and ids of that: the features by name, each in the order
        of the ids, None where the store has none. One caller at a time.
    """
    if store.config.online_store.type != "sqlite":
        return None
    file = _online_file(store, folder)
    return sqlite_online.rows_reader(store, file) if file.is_file() else None


def open_store(folder: Path, *, must_exist: bool = True, read_seconds: float | None = None) -> Any:
    """Feast's FeatureStore of a features folder.

    Args:
        folder: A features folder.
        must_exist: Whether a repository has to be applied there.
        read_seconds: How long an online store that is a server may take to connect, and to answer; it is tried once more at
            once, where a connection was broken off. None: as long as a step that writes much into it may wait.

    Raises:
        NotFound: no repository was applied there.
    """
    repository = folder.absolute() / REPOSITORY
    if must_exist and not (repository / "registry.db").is_file():
        raise NotFound(f"{folder} holds no applied Feast repository. Run materialize_features into it first.")
    with _quiet():
        with _uninstrumented():
            from feast import FeatureStore

        store = FeatureStore(repo_path=str(repository), config=_config(repository))
    if store.config.online_store.type == "redis":
        _bound(store, read_seconds)
    return store


def _config(repository: Path) -> Any:
    """The repository's configuration as Feast reads it; but an offline store of which only the type is said is given by its
    name, which Feast looks up when it is first asked for. One that is given as a mapping it imports at once: DuckDB's is
    ibis, which takes more than a second of every process that only reads online."""
    from feast import RepoConfig

    told = yaml.safe_load(os.path.expandvars((repository / "feature_store.yaml").read_text()))
    if list(told["offline_store"]) == ["type"]:
        told["offline_store"] = told["offline_store"]["type"]
    config = RepoConfig(**told)
    config.repo_path = repository
    return config


def online_server(store: Any) -> str | None:
    """Where an online store that is a server answers, without what may be secret of it; None where it is a file."""
    if store.config.online_store.type != "redis":
        return None
    return f"The online store of features, Redis {store.config.online_store.connection_string.partition(',')[0]},"


@contextlib.contextmanager
def named_errors(store: Any) -> Iterator[None]:
    """Context in which what an online store's client raises becomes ours.

    Raises:
        FeatureStoreUnavailable: it cannot be read or written.
    """
    where = online_server(store)
    if where is None:
        file = f"{store.repo_path}/{store.config.online_store.path}"
        try:
            yield
        except sqlite3.Error as error:
            raise FeatureStoreUnavailable(
                f"The online store of features, {file}, cannot be read: {error}. If that stays, fetch the version again."
            ) from error
        return
    import redis

    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise FeatureStoreUnavailable(
            f"{where} does not answer: {first_line(error)}. See whether it runs, and whether "
            "spec.features.onlineStore.connection is its address."
        ) from error


def _bound(store: Any, read_seconds: float | None) -> None:
    """Sees to it that no read or write of a Redis waits for ever, which is Feast's own way, nor for the pauses between the
    tries of its client."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    config = store.config.online_store
    seconds = WRITE_SECONDS if read_seconds is None else read_seconds
    for setting in ("socket_timeout", "socket_connect_timeout"):
        if f",{setting}=" not in config.connection_string:
            config.connection_string += f",{setting}={seconds}"
    if read_seconds is not None:
        store._get_provider().online_store._get_client(config).set_retry(Retry(NoBackoff(), 1))


def write_online(folder: Path, store: Any, *, view: str, start: datetime, end: datetime) -> None:
    """Feast's materialization of one view: each entity's latest row in the range goes into the online store."""
    if store.config.online_store.type == "sqlite":
        frame = pl.read_parquet(folder / f"{view}.parquet")
        write_latest(store, _online_file(store, folder), frame, view=view, start=start, end=end)
        return
    with _offline(folder), named_errors(store):
        store.materialize(start_date=start, end_date=end, feature_views=[view])


def _online_file(store: Any, folder: Path) -> Path:
    return folder.absolute() / REPOSITORY / str(store.config.online_store.path)


def historical_features(folder: Path, view: str, requests: pl.DataFrame, *, store: Any = None) -> pl.DataFrame:
    """The point-in-time join: for each request the latest row of its entity that is stamped at or before its time.

    Args:
        folder: A features folder.
        view: ``user_stats``, ``item_stats`` or ``shop_stats``.
        requests: The entity's column (``user``, ``item`` or ``shop``) and ``event_timestamp`` (datetime[us, UTC]).
        store: From :func:`open_store`; opened here where it is not given.

    Returns:
        ``requests`` in their order with the view's columns, null where the entity had no row then.

    Raises:
        NotFound: no repository was applied in ``folder``.
    """
    store = store or open_store(folder)
    numbered = requests.with_row_index(ROW_ID)
    entities = numbered.with_columns(pl.col("event_timestamp").cast(pl.Datetime("us", "UTC")))
    columns = [feature.name for feature in store.get_feature_view(view).features]
    features = [f"{view}:{name}" for name in columns]
    with _offline(folder):
        joined = store.get_historical_features(entity_df=entities.to_pandas(), features=features).to_arrow()
    found = pl.DataFrame(joined).sort(ROW_ID).select(ROW_ID, *columns)
    return numbered.join(found, on=ROW_ID, how="left", maintain_order="left").drop(ROW_ID)


def _definitions(folder: Path) -> Any:
    """The copy's definitions as a module of its own: two folders in one process must not share one."""
    path = folder / REPOSITORY / "definitions.py"
    spec = importlib.util.spec_from_file_location(f"shoploop_feast_definitions_{abs(hash(path.absolute()))}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        with _quiet():
            spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@contextlib.contextmanager
def _offline(folder: Path) -> Iterator[None]:
    """Runs Feast in the folder, which the sources' paths are relative to, and closes DuckDB afterwards.

    A connection that outlives the interpreter makes DuckDB print pages of leaked objects.
    """
    with contextlib.chdir(folder), _quiet():
        try:
            yield
        finally:
            import ibis

            if ibis.options.default_backend is not None:
                ibis.options.default_backend.disconnect()
                ibis.options.default_backend = None


@contextlib.contextmanager
def _uninstrumented() -> Iterator[None]:
    """While Feast is imported, its methods are not rewritten to check the types of their arguments as they run: that takes
    half of the import's time, in each process, and what calls them here is checked by mypy."""
    import typeguard

    checked = typeguard.typechecked

    def unchanged(target: Any = None, **_: Any) -> Any:
        return (lambda wrapped: wrapped) if target is None else target

    typeguard.typechecked = unchanged
    try:
        yield
    finally:
        typeguard.typechecked = checked


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Feast prints progress bars and warns about its own internals; a step's output is the report's."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
