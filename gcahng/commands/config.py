"""`gcahng config`: the complete settings of an experiment, and where each is from."""

from typing import Annotated

import typer

from gcahng.commands.options import Overrides


def config(
    experiment: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a packaged experiment.")
    ],
    overrides: Overrides = None,
) -> None:
    """Print all settings of an experiment as YAML, each with its origin.

    Example: gcahng config quickstart train.epochs=5 > my_experiment.yaml
    """
    from gcahng.builders.image_settings import adopt_image_settings
    from gcahng.config import load_with_layers
    from gcahng.config.origins import dump_with_origins

    loaded, layers = load_with_layers(experiment, overrides or [])
    print(dump_with_origins(loaded, layers, adopt_image_settings(loaded)), end="")
