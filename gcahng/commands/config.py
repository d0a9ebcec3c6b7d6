"""`gcahng config`: the complete settings of an experiment, or the schema of all experiments."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gcahng.commands.listing import registry
from gcahng.commands.options import Overrides


def config(
    experiment: Annotated[
        str | None, typer.Argument(help="A YAML file, or the name of a packaged experiment.")
    ] = None,
    overrides: Overrides = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="Write the JSON schema of experiment files, for editors, to this file."),
    ] = None,
) -> None:
    """Print the settings of an experiment as YAML; then what is not set, with the defaults.

    Example: gcahng config quickstart train.epochs=5 > my_experiment.yaml

    Example: gcahng config --schema schema.json
    """
    from gcahng.files import check_file, write_text

    if schema is not None:
        if experiment is not None:
            raise ValueError("--schema is the schema of every experiment: name none with it")
        check_file(schema, "--schema", (".json",))
        text = json.dumps(schema_of_experiments(), indent=2, ensure_ascii=False)
        write_text(schema, f"{text}\n")
        print(f"wrote {schema}; name it in the first line of an experiment beside it:")
        print(f"# yaml-language-server: $schema={schema.name}")
        return
    if experiment is None:
        raise ValueError("name an experiment, or write the schema of all with --schema FILE")
    from gcahng.builders.settings import adopt_image_settings, components, load_checked
    from gcahng.config import dump_config
    from gcahng.config.json_schema import written_arguments

    completed = adopt_image_settings(load_checked(experiment, overrides or []))
    print(dump_config(completed), end="")
    print("# Arguments of its components that are not set, with their defaults:")
    for _, kind, place, name, arguments in components(completed):
        takes = written_arguments(kind, name) or {}  # of your own: None
        known = {key: one["default"] for key, one in takes.items() if "default" in one}
        if "args" in arguments:
            for path, value in _unset(f"{place}.args", known, arguments["args"]):
                print(f"#   {path}={json.dumps(value, default=str)}")


def _unset(place: str, known: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Any]:
    """Yield paths and defaults of the arguments that are not given."""
    for name, value in known.items():
        if isinstance(value, dict):
            yield from _unset(f"{place}.{name}", value, given.get(name, {}))
        elif name not in given:
            yield f"{place}.{name}", value


def schema_of_experiments() -> dict[str, Any]:
    """The JSON schema of experiment files with the names of all components."""
    from gcahng.config.json_schema import SECTIONS, json_schema

    return json_schema({kind: registry(kind) for kind in SECTIONS}, registry("layers"))
