"""A digest of the code that a step can reach, so that a change of one room does not make every step run again.

Only imports of shoploop's own modules are followed, also those inside functions; of the libraries the versions count.
"""

import ast
import hashlib
import importlib.metadata
from functools import cache
from pathlib import Path

from shoploop.shells import shells_folder

LIBRARIES = (
    "torch",
    "numpy",
    "polars",
    "pyarrow",
    "lightgbm",
    "feast",
    "great-expectations",
    "bentoml",
    "scikit-learn",
)


def code_digest(module: str, *, shell: str | None = None) -> str:
    """sha256 over the sources of ``module`` and all shoploop modules that it reaches, and the libraries' versions.

    Args:
        module: Dotted name.
        shell: A shell whose own sources count too, because the step packs them.
    """
    digest = hashlib.sha256()
    sources = reachable(module)
    if shell is not None:
        sources |= {f"{shell}/{path.name}": path for path in (shells_folder() / shell).glob("*.py")}
    for name, path in sorted(sources.items()):
        digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    for library in LIBRARIES:
        digest.update(f"{library}=={_version(library)}\0".encode())
    return digest.hexdigest()


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def reachable(module: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or (path := _source(name)) is None:
            continue
        found[name] = path
        waiting += _imports(path)
        waiting.append(name.rpartition(".")[0])  # importing a module runs its packages first
    return found


@cache
def _source(name: str) -> Path | None:
    package = Path(__file__).parent
    parts = name.split(".")
    if parts[0] != package.name:
        return None
    base = package.joinpath(*parts[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _imports(path: Path) -> list[str]:
    """Dotted names that the file imports; ``from a import b`` may mean the module ``a.b``, so both are listed."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
