"""`gcahng share`: a model as a folder or on the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.options import Last, Model, Trust, Weights
from gcahng.commands.terminal import console


def share(
    model: Model,
    to: Annotated[str, typer.Option(help="A folder, or user/repo on the Hugging Face Hub.")],
    license: Annotated[
        str | None, typer.Option(help="What others may do with it, such as mit.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="If it is new on the Hub.")] = False,
    weights: Weights = None,
    last: Last = False,
    trust: Trust = False,
) -> None:
    """Share a model: weights, settings, image transform, figures and a model card.

    A name such as user/repo is a folder if it exists, or if there is a folder named user.

    Example: gcahng share runs/photos-seed0 --to ./shared/photos
    """
    from gcahng.inference.embedder import load_embedder, names_repository

    found = load_embedder(model, weights=weights, device="cpu", last=last, trust=trust)
    if names_repository(to):
        where = found.push_to_hub(to, private=private, license=license)
    elif private:
        raise ValueError(f"--private applies to the Hub, and '{to}' is a folder")
    else:
        found.save_pretrained(to, license=license)
        where = str(Path(to))
    hint = "" if license else "; check the license in its README.md"
    console.print(f"shared {where}{hint}", soft_wrap=True, highlight=False)
