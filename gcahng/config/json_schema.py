"""The JSON schema of experiment files, by which editors complete keys and mark mistakes."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from gcahng.config.schema import ExperimentConfig

# Kind of component → section and key of its name.
NAMES = {
    "data": ("DataConfig", "name"),
    "transforms": ("TransformConfig", "name"),
    "backbones": ("BackboneConfig", "name"),
    "losses": ("LossConfig", "name"),
    "generators": ("GeneratorConfig", "name"),
    "layers": ("GraphConfig", "conv"),
}
_BASE = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    "description": "The experiment, or several in order, that this file changes: a path relative "
    "to this file, or the name of a packaged one.",
}


def json_schema(components: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the JSON schema of an experiment file.

    No key is required, since a file may build on others with `base`. Names of components are
    suggested; any other text is valid too, such as `module.path:ClassName`.

    Args:
        components: Names of components to suggest, by the kinds in `NAMES`.

    Example:
        >>> schema = json_schema({"losses": ["npair"]})
        >>> schema["$defs"]["LossConfig"]["properties"]["name"]["anyOf"]
        [{'enum': ['npair']}, {'type': 'string'}]
    """
    schema = ExperimentConfig.model_json_schema()
    sections = schema["$defs"]
    # The backbone has names of its own.
    sections["BackboneConfig"] = deepcopy(sections["ComponentConfig"])
    sections["EmbedderConfig"]["properties"]["backbone"] = {"$ref": "#/$defs/BackboneConfig"}
    for kind, names in components.items():
        section, key = NAMES[kind]
        setting = sections[section]["properties"][key]
        others = setting.pop("anyOf", None) or [{"type": setting.pop("type")}]
        setting["anyOf"] = [{"enum": sorted(names)}, *others]
    schema["properties"] = {"base": _BASE, **schema["properties"]}
    words = {"enum": ["faithful", "corrected"]}
    quirks = schema["properties"]["quirks"]
    quirks["anyOf"] = [words, {"$ref": quirks.pop("$ref")}]
    for part in _mappings(schema):
        _shorten(part)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from _mappings(inner)


def _shorten(part: dict[str, Any]) -> None:
    """Leave out titles, which repeat the keys, required keys, and defaults of whole sections."""
    if isinstance(part.get("title"), str):
        del part["title"]
    if isinstance(part.get("required"), list):
        del part["required"]
    if isinstance(part.get("default"), dict) and "type" not in part["default"]:
        del part["default"]
    if isinstance(part.get("description"), str):
        text = part["description"].partition("\nExample:")[0]
        part["description"] = " ".join(text.split())
