"""A digest of the code that a step can reach, so that a change of one room does not make every step run again.

Import statements are followed from module to module, also those inside functions; of libraries the versions count. What
is imported by a name in a string would be missed: the linter refuses ``importlib.import_module`` and relative imports in
this package, and a test holds every step's digest against the modules that the step has imported when it had run.
"""

import ast
import hashlib
import importlib.metadata
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from shoploop.shells import shells_folder

LIBRARIES = (
    "torch",
    "numpy",
    "scipy",
    "polars",
    "pyarrow",
    "lightgbm",
    "feast",
    "ibis-framework",
    "duckdb",
    "great-expectations",
    "bentoml",
    "scikit-learn",
    "opacus",
    "safetensors",
    "pydantic",
    "pillow",
    "charset-normalizer",
)
"""Those whose version may change what a step writes."""


def code_digest(module: str, *, shell: str | None = None) -> str:
    """sha256 over the sources of all that :func:`reachable` finds, and the libraries' versions.

    Args:
        module: Dotted name.
        shell: A shell whose own sources count too, because the step runs or packs them.
    """
    digest = hashlib.sha256()
    for name, path in sorted(reachable(module, shell=shell).items()):
        digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    for library in LIBRARIES:
        digest.update(f"{library}=={_version(library)}\0".encode())
    return digest.hexdigest()


@cache
def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def reachable(*modules: str, shell: str | None = None) -> dict[str, Path]:
    """The modules of shoploop that running ``modules`` can import, themselves among them, and where their sources lie.

    What a package offers by ``__getattr__`` is reached by those who import such a name from it, and by nobody else.

    Args:
        modules: Dotted names.
        shell: A shell to begin from too; its own files are in the answer under ``<shell>/<file>``.
    """
    found = {f"{shell}/{path.name}": path for path in (shells_folder() / shell).glob("*.py")} if shell else {}
    waiting = [*modules, *(name for path in found.values() for name in _imports(path).eager)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        package = name.rpartition(".")[0]
        source, offering = _source(name), _source(package)
        if source is not None:
            found[name] = source
            waiting += [*_imports(source).eager, package]  # importing a module runs its packages first
        elif offering is not None:
            waiting += _imports(offering).lazy
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


@dataclass(frozen=True)
class _Imports:
    """Dotted names that a file imports."""

    eager: list[str] = field(default_factory=list)
    """When it or one of its functions runs."""

    lazy: list[str] = field(default_factory=list)
    """When somebody asks for a name that only its ``__getattr__`` knows."""


_PARSING = threading.Lock()
"""Two threads that parse at once end in a SystemError of Python 3.11 (its issue 106905)."""


@cache
def _imports(path: Path) -> _Imports:
    found = _Imports()
    with _PARSING:
        tree = ast.parse(path.read_bytes())
    for statement in tree.body:
        lazy = isinstance(statement, ast.FunctionDef) and statement.name == "__getattr__"
        (found.lazy if lazy else found.eager).extend(_names(statement))
    return found


def _names(node: ast.AST) -> Iterator[str]:
    """Of the modules that are imported below the node; ``from a import b`` may mean the module ``a.b``, so both."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    else:
        for statement in _statements(node):
            yield from _names(statement)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Those that lie right below the node. Nobody looks into expressions, of which there are ten times as many."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", "")):
        yield from node.orelse  # what only a type checker reads never runs
        return
    for block in ("body", "orelse", "finalbody"):
        yield from getattr(node, block, ())
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield from part.body
