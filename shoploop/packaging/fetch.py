"""``python -m shoploop.packaging.fetch``: what runs in a predictor's pod before its server does.

Fetches one Bento from the store, refuses it where it is not signed as the environment asks or has other bytes than the
digest names, unpacks it, and writes what the spec says today about answers over what it said when the Bento was packed.
It must not know how the Bento is served.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from shoploop.api.list_rules import ListRulesSpec
from shoploop.api.loading import problems_of
from shoploop.errors import ShoploopError, SpecInvalid
from shoploop.packaging.archive import unpack
from shoploop.ranking.settings import RankerSettings
from shoploop.store import Store, layout
from shoploop.versions.signing import Statement, Trust
from shoploop.versions.stored import check_signature

RANKER = Path("src", "ranker")
"""Where an unpacked Bento keeps its ranker."""


def ranker_folder(bento: Path) -> Path:
    """The ranker of an unpacked Bento."""
    return bento / RANKER


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shoploop.packaging.fetch", description=__doc__)
    parser.add_argument("--bento", required=True, help="URL of the archive, e.g. s3://shop/shoploop/....bento")
    parser.add_argument("--digest", required=True, help="its sha256, in hexadecimal")
    parser.add_argument("--recommender", required=True, help="whose it must be")
    parser.add_argument("--version", required=True, help="which version it must be")
    parser.add_argument("--into", required=True, type=Path, help="folder to make")
    add_settings(parser)
    args = parser.parse_args(arguments)
    try:
        fetch(args.bento, args.digest, args.into, recommender=args.recommender, version=args.version)
        apply_settings(args.into / RANKER, args)
    except ShoploopError as error:
        print(f"shoploop: {type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{args.bento} is unpacked in {args.into}, sha256 {args.digest}")
    return 0


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Options for what the spec says today about answers."""
    parser.add_argument("--deadline-milliseconds", type=int, help="instead of what the Bento was packed with")
    parser.add_argument("--item-fields", help="instead of what the Bento was packed with, separated by commas")
    parser.add_argument("--allowed-origins", help="instead of what the Bento was packed with, separated by commas")
    parser.add_argument("--list-rules", help="instead of what the Bento was packed with, as JSON")


def apply_settings(ranker: Path, args: argparse.Namespace) -> None:
    """Writes what those options say over what the ranker in a folder was packed with.

    Raises:
        SpecInvalid: as :func:`change_settings`, or rules that break a rule themselves.
    """
    change_settings(
        ranker,
        deadline_milliseconds=args.deadline_milliseconds,
        item_fields=_names(args.item_fields),
        allowed_origins=_names(args.allowed_origins),
        list_rules=_rules(args.list_rules),
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name for name in text.split(",") if name)


def _rules(text: str | None) -> ListRulesSpec | None:
    try:
        return None if text is None else ListRulesSpec.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(problems_of(error, ListRulesSpec))
        raise SpecInvalid(f"spec.serving.listRules cannot be used: {problems}.") from error


def fetch(
    bento: str, digest: str, folder: Path, *, recommender: str, version: str, trust: Trust | None = None
) -> None:  # fmt: skip
    """Fetches the archive at the URL ``bento`` and unpacks it to ``folder``, once it is known to be the right one.

    Args:
        bento: Its signature lies beside it.
        digest: Its sha256, in hexadecimal.
        folder: To make.
        recommender: Whose Bento was signed.
        version: Which version's Bento was signed.
        trust: Who must have signed it; as the environment says where not given.

    Raises:
        NotFound: there is no such object.
        ArtifactUnsigned, KeyUntrusted, SignatureInvalid, ArtifactForeign: it is not signed as asked, by whom, as what.
        ArtifactCorrupt: its bytes are not those of the digest, or the digest is not the signed one.
        StoreUnavailable: the store did not answer, or refused.
    """
    trust = trust or Trust.configured()
    prefix, _, name = bento.rpartition("/")
    store = Store(prefix, read_only=True)
    archive = folder.with_name(f"{folder.name}.fetched")
    wanted = Statement(kind="bento", recommender=recommender, version=version, digests={name: digest})
    try:
        check_signature(store, layout.signature_file(name), wanted, bento, trust)
        store.get_file(name, archive)
        unpack(archive, folder, sha256=digest)
    finally:
        archive.unlink(missing_ok=True)


def change_settings(
    ranker: Path,
    *,
    deadline_milliseconds: int | None,
    item_fields: tuple[str, ...] | None,
    allowed_origins: tuple[str, ...] | None,
    list_rules: ListRulesSpec | None = None,
) -> None:
    """Writes the given settings over those in the folder ``ranker``; None leaves one as it was packed.

    Raises:
        SpecInvalid: the Bento was packed without an item field; it can only be left out, not added.
    """
    from pyarrow import parquet

    packed = RankerSettings.read(ranker)
    columns = parquet.read_schema(ranker / "items.parquet").names
    if item_fields is not None and (unknown := set(item_fields) - set(columns)):
        raise SpecInvalid(
            f"spec.serving.itemFields names {', '.join(sorted(unknown))}, which version {packed.version} was packed "
            f"without. It has {', '.join(columns)}. Train again, or leave it out."
        )
    replace(
        packed,
        deadline_milliseconds=deadline_milliseconds or packed.deadline_milliseconds,
        item_fields=packed.item_fields if item_fields is None else item_fields,
        allowed_origins=packed.allowed_origins if allowed_origins is None else allowed_origins,
        list_rules=packed.list_rules if list_rules is None else list_rules,
    ).write(ranker)


if __name__ == "__main__":
    sys.exit(main())
