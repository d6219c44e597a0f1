"""Reads a recommender.yaml the way the API server would, with better answers.

All problems are named at once, each with its path, the rule it breaks and the nearest right name. Nothing here reads a
cluster.
"""

import difflib
import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shoploop.api.fields import API_VERSION
from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import SpecInvalid, first_line

KINDS = ("Recommender",)
UNION_BRANCHES = ("str", "list[str]")  # pydantic puts the branch it tried into an error's path


def load(path: Path | str) -> Recommender:
    """The Recommender that a YAML or JSON file holds; other objects beside it are left to kubectl.

    Raises:
        SpecInvalid: the file cannot be read, holds no Recommender or several, or breaks rules; all of them are named.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SpecInvalid(f"{path} cannot be read: {error.strerror}. Name a recommender.yaml with -f.") from error
    except UnicodeDecodeError as error:
        raise SpecInvalid(f"{path} is no text in UTF-8, so it is no YAML. Name a recommender.yaml with -f.") from error
    return parse(text, source=str(path))


def parse(text: str, *, source: str = "the YAML") -> Recommender:
    """The Recommender that ``text`` holds; ``source`` names the text in errors.

    Raises:
        SpecInvalid: as :func:`load`.
    """
    try:
        documents = [found for found in yaml.load_all(text, _Loader) if found is not None]
    except yaml.YAMLError as error:
        raise SpecInvalid(f"{source} is no YAML: {_where(error)}. Mend the line.") from error
    except RecursionError as error:
        raise SpecInvalid(f"{source} is nested too deeply to be a Recommender.") from error
    except (ValueError, OverflowError) as error:  # an escape such as "\\U00110000"
        raise SpecInvalid(f"{source} is no YAML: it writes a sign that Unicode does not have ({error}).") from error
    return _read(_recommender_of(documents, source), source)


def problems_of(error: ValidationError, root: type[BaseModel] = Recommender) -> list[str]:
    """One line per broken rule: path, what is wrong, and the nearest right name."""
    lines = [_problem(detail, root) for detail in error.errors(include_url=False)]
    return list(dict.fromkeys(lines))


def _recommender_of(documents: list[Any], source: str) -> Any:
    if not documents:
        raise SpecInvalid(f"{source} is empty. The smallest Recommender is:\n{SMALLEST}")
    for document in documents:
        if not isinstance(document, dict):
            raise SpecInvalid(
                f"{source} holds {_described(document)}, not a mapping. The smallest Recommender is:\n{SMALLEST}"
            )
    if len(documents) == 1:
        return documents[0]
    ours = [document for document in documents if document.get("kind") in KINDS]
    if len(ours) == 1:
        return ours[0]
    raise SpecInvalid(
        f"{source} holds {len(documents)} documents, {len(ours)} of them a Recommender. Leave exactly one in it."
    )


def _read(document: dict[str, Any], source: str) -> Recommender:
    try:
        json.dumps(document)
        return Recommender.model_validate(_without_nulls(document), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = problems_of(error)
    except (TypeError, ValueError) as error:
        problems = [f"a value has no place in a Kubernetes object: {error}"]
    count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise SpecInvalid(f"{source} has {count}:\n" + "\n".join(f"  {problem}" for problem in problems))


def _without_nulls(value: Any) -> Any:
    """A field that is written without a value counts as unset, as in the API server."""
    match value:
        case dict():
            return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
        case list():
            return [_without_nulls(inner) for inner in value]
    return value


def _problem(detail: ErrorDetails, root: type[BaseModel]) -> str:
    path = _path(detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            name = str(detail["loc"][-1])
            if path == name and (place := _place_in(root, name)):
                return f"{path}: it belongs under {place}: write it there, indented, as {place}.{name}"
            return f"{path}: there is no such field{_nearest(name, _fields_at(root, detail['loc'][:-1]))}"
        case "missing":
            return f"{path}: this field is required"
        case "literal_error" if path == "apiVersion":
            return f"apiVersion: {detail['input']!r} should be {API_VERSION}"
        case "literal_error":
            known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            return (
                f"{path}: {detail['input']!r} is not one of {', '.join(known)}{_nearest(str(detail['input']), known)}"
            )
        case "value_error":
            return f"{path}: {detail['ctx']['error']}" if path else str(detail["ctx"]["error"])
        case "string_pattern_mismatch" if path == "metadata.name":
            return f"{path}: {detail['input']!r} must be lower-case letters, digits and dashes, and begin with a letter"
        case "model_type":
            return f"{path}: should be a mapping, not {_described(detail['input'])}"
        case _ if set(detail["loc"]) & set(UNION_BRANCHES):
            return f"{path}: should be a name or a list of names, not {_described(detail['input'])}"
        case _:
            message = detail["msg"].removeprefix("Input ").removeprefix("String ")
            return f"{path}: {message}, not {_described(detail['input'])}"


def _path(location: tuple[int | str, ...]) -> str:
    """``("spec", "steps", 0, "percent")`` as ``spec.steps[0].percent``, without pydantic's own marks."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in UNION_BRANCHES:
            path += f".{part}" if path else part
    return path


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that the object at ``location`` has, as YAML writes them."""
    for part in location:
        if isinstance(part, int):
            continue
        field = next((f for name, f in model.model_fields.items() if part in (f.alias, name)), None)
        if field is not None:
            model = model_in(field.annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _place_in(root: type[BaseModel], name: str) -> str | None:
    """Where a field lies that somebody wrote at the top: under spec, or in one of its sections; None where none or several
    have it."""
    if "spec" not in root.model_fields:
        return None
    fields = _fields_at(root, ("spec",))
    if name in fields:
        return "spec"
    sections = [section for section in fields if name in _fields_of(root, section)]
    return f"spec.{sections[0]}" if len(sections) == 1 else None


def _fields_of(root: type[BaseModel], section: str) -> list[str]:
    """The fields of a section of spec, none where it is a single value."""
    inside = _fields_at(root, ("spec", section))
    return inside if inside != _fields_at(root, ("spec",)) else []


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as ``X | None``, ``list[X]`` or ``dict[str, X]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := model_in(part))), None)


def _nearest(name: str, known: list[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower().replace("_", ""), by_lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {by_lower[close[0]]}?"
    return ""


def _described(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case str() if len(value) > 60:
            return f"{value[:57]!r}..."
        case int() | float() | str():
            return repr(value)
        case dict():
            return "a mapping"
        case list():
            return "a list"
    return f"a {type(value).__name__}"


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or first_line(error)
    return f"{problem}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem)


SMALLEST = f"""\
apiVersion: {API_VERSION}
kind: Recommender
metadata: {{name: grocery}}
spec: {{data: {{dataset: completejourney}}}}"""


class _Loader(yaml.SafeLoader):
    """YAML as kubectl reads it: a key written twice is an error, 1e-3 is a number, 2026-01-01 is a string."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
        ) as error:  # the value is not what its tag, or sign, says
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"{str(node.value)[:40]!r} cannot be read as {kind}", node.start_mark
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no plain word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} is written twice", key.start_mark
                )
            seen.add(key.value)
        self.flatten_mapping(node)
        return {str(key): value for key, value in super().construct_mapping(node, deep=deep).items()}


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":timestamp", ":float"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"),
    list("-+0123456789."),
)
