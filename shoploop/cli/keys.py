"""``shoploop keys``: the keys that versions are signed with."""

from pathlib import Path
from typing import Annotated

import typer

from shoploop.errors import KeyUnusable

app = typer.Typer(help="Keys that versions are signed with; docs/signing.md tells how.", no_args_is_help=True)


@app.command()
def new(
    name: Annotated[Path, typer.Argument(help="Of the two files, without an ending, e.g. shop-2026.", metavar="NAME")],
) -> None:
    """Make a pair of keys: NAME.key, which is secret, and NAME.pub. Nothing is overwritten."""
    from shoploop.versions.keys import PRIVATE, PUBLIC, SIGNING_KEY, TRUSTED_KEYS, new_pair

    made = new_pair(name)
    private, public = (name.absolute().with_name(name.name + ending) for ending in (PRIVATE, PUBLIC))
    typer.echo(f"Key {made.id}: {private} signs, {public} verifies.")
    typer.echo(f"Sign on this machine:  export {SIGNING_KEY}={private}")
    typer.echo(f"Verify on any machine: export {TRUSTED_KEYS}={public}")
    typer.echo(f"On a cluster:          kubectl create secret generic signing --from-file=private.pem={private}")
    typer.echo(
        "                       and spec.signing: {publicKeys: [what is in the other], privateKey: {name: signing}}"
    )


@app.command()
def show(
    files: Annotated[list[Path], typer.Argument(help="Private or public keys in PEM.", metavar="FILE...")],
) -> None:
    """Say which key a file holds, by the id that signatures and errors name."""
    from shoploop.versions.keys import public_keys, signer

    for file in files:
        try:
            pem = file.read_bytes()
        except OSError as error:
            raise KeyUnusable(f"{file} cannot be read: {error.strerror}.") from error
        private = b"PRIVATE KEY-----" in pem
        ids = [signer(pem, str(file)).id] if private else list(public_keys(pem, str(file)))
        for id_ in ids:
            typer.echo(f"{id_}  {'private' if private else 'public'}  {file}")


@app.command()
def sign(
    name: Annotated[str, typer.Argument(help="Name of the recommender.", metavar="NAME")],
    version: Annotated[str, typer.Argument(help="A stored version.", metavar="VERSION")],
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Sign what no trusted key has signed: you vouch for it.")
    ] = False,
    store: Annotated[
        str | None, typer.Option("--store", help="Folder or URL of the store; else SHOPLOOP_STORE.")
    ] = None,
) -> None:
    """Add a signature to a stored version and its Bento, as when one key takes the place of another."""
    from shoploop.hints import default_store
    from shoploop.packaging.bento import sign_bento
    from shoploop.store import Store
    from shoploop.versions.keys import SIGNING_KEY, Signer, trusted_keys
    from shoploop.versions.signing import Trust
    from shoploop.versions.stored import check_version, sign_version

    signer = Signer.configured()
    if signer is None:
        raise KeyUnusable(
            f"No key is at hand to sign with. Name its file in {SIGNING_KEY}; `shoploop keys new` makes one."
        )
    opened = Store(store or default_store())
    trust = Trust(policy="Ignore" if unverified else "Require", keys=trusted_keys())
    manifest = check_version(opened, name, version, trust)
    bento = sign_bento(opened, name, version, signer, trust)
    sign_version(opened, name, version, manifest, signer)
    what = f"and its Bento {bento[:16]} are" if bento else "is"
    typer.echo(f"Version {version} of {name} {what} signed by key {signer.id}.")
