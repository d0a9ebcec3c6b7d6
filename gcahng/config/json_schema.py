"""The JSON schema of experiment files, by which editors complete keys and mark mistakes."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from gcahng.arguments import arguments_schema
from gcahng.config.layers import EXPERIMENTS
from gcahng.config.sections import ExperimentConfig

# Kind of component → its section.
SECTIONS = {
    "data": "DataConfig",
    "transforms": "TransformConfig",
    "backbones": "BackboneConfig",
    "losses": "LossConfig",
    "generators": "GeneratorConfig",
}
# Arguments that components get from elsewhere in the experiment.
GIVEN = ("embedding_dim", "num_classes", "quirks", "root", "split", "transform", "train")
_BASE = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    "description": "The experiment, or several in order, that this file changes: a path relative "
    "to this file, or the name of a packaged one.",
}


def json_schema(components: Mapping[str, Mapping[str, Any]], layers: Iterable[str]) -> Any:
    """Return the JSON schema of an experiment file, with components by the kinds in `SECTIONS`.

    No key is required, since a file may build on others with `base`. Names of components are
    suggested, and their arguments checked; any other name is valid too.
    """
    schema = ExperimentConfig.model_json_schema()
    for part in _mappings(schema):  # the defaults of whole sections repeat theirs
        if isinstance(part.get("default"), dict) and "type" not in part["default"]:
            del part["default"]
    sections = schema["$defs"]
    # The backbone has names of its own.
    sections["BackboneConfig"] = deepcopy(sections["ComponentConfig"])
    sections["EmbedderConfig"]["properties"]["backbone"] = {"$ref": "#/$defs/BackboneConfig"}
    for kind, found in components.items():
        section = sections[SECTIONS[kind]]
        _suggest(section["properties"]["name"], found)
        keys = [key for key in ("args", "train", "test") if key in section["properties"]]
        section["allOf"] = []
        for name, make in sorted(found.items()):
            args = arguments_schema(make, GIVEN)
            sections |= args.pop("$defs")
            section["allOf"].append(
                {
                    "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
                    "then": {"properties": dict.fromkeys(keys, args)},
                }
            )
    if "GraphArguments" in sections:
        _suggest(sections["GraphArguments"]["properties"]["conv"], layers)
    schema["properties"] = {"base": _BASE, **schema["properties"]}
    words = {"enum": ["faithful", "corrected"]}
    quirks = schema["properties"]["quirks"]
    quirks["anyOf"] = [words, {"$ref": quirks.pop("$ref")}]
    for part in _mappings(schema):
        _shorten(part)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


@cache
def _written() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((EXPERIMENTS / "schema.json").read_text(encoding="utf-8"))
    return schema


def written_arguments(kind: str, name: str) -> dict[str, Any] | None:
    """Return the schema of each argument of a component, as `experiments/schema.json` has it.

    This imports no component. None: the file has no such component.
    """
    for case in _written()["$defs"][SECTIONS[kind]].get("allOf", ()):
        if case["if"]["properties"]["name"]["const"] == name:
            found = next(iter(case["then"]["properties"].values()))
            return None if found.get("additionalProperties", True) else found["properties"]
    return None


def _suggest(setting: dict[str, Any], names: Iterable[str]) -> None:
    """Let a setting also be one of some names, which editors suggest."""
    others = setting.pop("anyOf", None) or [{"type": setting.pop("type")}]
    setting["anyOf"] = [{"enum": sorted(names)}, *others]


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from _mappings(inner)


def _shorten(part: dict[str, Any]) -> None:
    """Leave out titles, which repeat the keys, and required keys."""
    if isinstance(part.get("title"), str):
        del part["title"]
    # Not those of a condition, which has no type.
    if isinstance(part.get("required"), list) and "type" in part:
        del part["required"]
    if isinstance(part.get("description"), str):
        text = re.split("\n(?:Example|Attributes):", part["description"])[0]
        part["description"] = " ".join(text.split())
