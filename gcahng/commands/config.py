"""`gcahng config`: the complete settings of an experiment, or the schema of all experiments."""

import json
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
    """Print all settings of an experiment as YAML, each with its origin.

    Example: gcahng config quickstart train.epochs=5 > my_experiment.yaml

    Example: gcahng config --schema schema.json
    """
    if schema is not None:
        if experiment is not None:
            raise ValueError("--schema is the schema of every experiment: name none with it")
        _write_schema(schema)
        return
    if experiment is None:
        raise ValueError("name an experiment, or write the schema of all with --schema FILE")
    from gcahng.builders.image_settings import adopt_image_settings
    from gcahng.config import load_with_layers
    from gcahng.config.origins import dump_with_origins

    loaded, layers = load_with_layers(experiment, overrides or [])
    print(dump_with_origins(loaded, layers, adopt_image_settings(loaded)), end="")


def schema_of_experiments() -> dict[str, Any]:
    """The JSON schema of experiment files with the names of all components."""
    from gcahng.config.json_schema import SECTIONS, json_schema

    return json_schema({kind: registry(kind) for kind in SECTIONS}, registry("layers"))


def _write_schema(path: Path) -> None:
    from gcahng.files import check_file, write_text

    check_file(path, "--schema", (".json",))
    write_text(path, json.dumps(schema_of_experiments(), indent=2, ensure_ascii=False) + "\n")
    print(f"wrote {path}; name it in the first line of an experiment beside it:")
    print(f"# yaml-language-server: $schema={path.name}")
