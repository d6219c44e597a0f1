"""What this machine serves a recommender with: which version, unpacked where, who may ask, where events and their keys lie.

It must not know of the process that is started with it.
"""

import json
import os
import secrets
from pathlib import Path

from shoploop.api.online import EventLogSpec
from shoploop.errors import NotFound, SpecInvalid
from shoploop.events.keyring import Keyring
from shoploop.hints import beside_the_user, command
from shoploop.packaging.bento import fetch_bento
from shoploop.packaging.fetch import ranker_folder
from shoploop.predictor.access_settings import ADMIN, RULES, AccessSettings, AdminSettings
from shoploop.predictor.access_settings import ENVIRONMENT as ACCESS
from shoploop.predictor.feedback_settings import (
    ENVIRONMENT,
    IMPRESSION_KEYS,
    PUBLISHABLE_KEYS,
    SERVER_KEYS,
    FeedbackSettings,
)
from shoploop.predictor.stock import ENVIRONMENT as OUT_OF_STOCK
from shoploop.predictor.storefront_settings import ENVIRONMENT as STOREFRONT
from shoploop.predictor.storefront_settings import StorefrontSettings
from shoploop.shells import shells_folder
from shoploop.store import Store, disk, layout
from shoploop.versions import promotions
from shoploop.versions.signing import Trust


def serving_version(store: Store, name: str) -> str:
    """The promoted version.

    Raises:
        NotFound: there is none, or no such recommender.
    """
    version = promotions.serving_version(store, name)
    if version is None:
        kept = promotions.versions(store, name)  # names the known recommenders where there is no such one
        raise NotFound(
            f"No version of {name!r} was promoted yet; {kept[-1].id} is kept. `{command(store, f'report {name}')}` says why; "
            f"`{command(store, f'promote {name} {kept[-1].id}')}` lets it serve all the same."
        )
    return version


def packaged_ranker(store: Store, name: str, version: str | None = None) -> Path:
    """The folder that a version is served from, fetched and verified: what ``Ranker.load`` reads.

    Args:
        version: Another than the promoted one.

    Raises:
        NotFound: nothing is promoted, or no such version.
        ArtifactError: the stored Bento must not be run: it was altered, or is not signed as the environment asks.
    """
    trust = Trust.configured()
    version = version or serving_version(store, name)
    return ranker_folder(fetch_bento(store, name, version, cache_folder(store, trust), trust))


def access_settings(folder: Path) -> AccessSettings:
    """Who may ask, by a folder of this machine; one that is not there is made, with a key.

    Raises:
        SpecInvalid: its ``tokens.json`` does not say which tokens are believed.
        KeyUnusable: its keys, or its ``jwks.json``, cannot be used.
    """
    from pydantic import ValidationError

    from shoploop.api.access import TokenRules
    from shoploop.api.loading import problems_of
    from shoploop.predictor.callers import Callers

    folder = folder.absolute()
    rules = None
    try:
        rules = TokenRules.model_validate_json((folder / RULES).read_bytes())
    except FileNotFoundError:
        Keyring.made(folder)
    except (OSError, ValidationError) as error:
        why = "; ".join(problems_of(error, TokenRules)) if isinstance(error, ValidationError) else error.strerror
        raise SpecInvalid(f"{folder / RULES} does not say which tokens are believed: {why}.") from error
    settings = AccessSettings(folder=folder, tokens=rules)
    Callers(settings)  # what is wrong with its keys is told here, and not in the log of the service
    return settings


def cache_folder(store: Store, trust: Trust) -> Path:
    """Where unpacked Bentos lie: below a store that is a folder, else in the user's cache, as for one that may only be read.
    Where signatures are asked for, those who may write the store are not trusted, so it is the user's cache too."""
    if store.folder is not None and trust.policy == "Ignore" and os.access(store.folder, os.W_OK):
        return store.folder / "cache" / "bentos"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shoploop" / "bentos"


def home_of_events(store: Store) -> Path:
    """Where events lie on this machine: in the store where that is a folder that may be written, else beside the user."""
    writable = store.folder is not None and os.access(store.folder, os.W_OK)
    return store.folder if store.folder and writable else beside_the_user()


def feedback_settings(
    store: Store, name: str, log: EventLogSpec, home: Path | None = None, access: Path | None = None
) -> FeedbackSettings:
    """Where the events of a recommender go that this machine serves, below ``home`` or in the usual place; makes keys where
    there are none."""
    home = home or home_of_events(store)
    keys = home / layout.event_keys(name)
    for kind in (IMPRESSION_KEYS, SERVER_KEYS):
        Keyring.made(keys / kind)
    return FeedbackSettings(recommender=name, log=log, folder=home / layout.events(name), keys=keys, access=access)


def storefront_settings(events: FeedbackSettings, port: int) -> StorefrontSettings | None:
    """The example shop with a publishable key for this machine's pages at ``port``; makes one where there is none.

    None where the example is not installed.
    """
    folder = shells_folder() / "examples" / "storefront"
    if not folder.is_dir():
        return None
    path = events.keys / PUBLISHABLE_KEYS / "storefront.json"
    try:
        found = json.loads(path.read_text())
        key, origins = str(found["key"]), [str(origin) for origin in found["origins"]]
    except (OSError, ValueError, KeyError, TypeError):
        key, origins = f"pk_{secrets.token_urlsafe(24)}", []
    wanted = [f"http://{host}:{port}" for host in ("localhost", "127.0.0.1")]
    if missing := [origin for origin in wanted if origin not in origins]:
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.write_json(path, {"key": key, "origins": [*origins, *missing]})
    return StorefrontSettings(name=events.recommender, folder=folder, key=key)


def environment(
    *,
    events: FeedbackSettings | None,
    shop: StorefrontSettings | None,
    out_of_stock: Path | None,
    access: AccessSettings | None,
    admin: AdminSettings | None,
) -> dict[str, str]:
    """The variables by which the service is told all this."""
    own = {}
    if events is not None:
        own[ENVIRONMENT] = events.model_dump_json()
    if shop is not None:
        own[STOREFRONT] = shop.model_dump_json()
    if out_of_stock is not None:
        own[OUT_OF_STOCK] = str(out_of_stock.absolute())
    if access is not None:
        own[ACCESS] = access.model_dump_json(by_alias=True)
    if admin is not None:
        own[ADMIN] = admin.model_dump_json()
    return own
