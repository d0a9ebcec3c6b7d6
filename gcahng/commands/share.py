"""`gcahng share` and `export`: models for others."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.options import Last, Model, Trust, Weights
from gcahng.commands.terminal import console, loading


def share(
    model: Model,
    to: Annotated[str, typer.Option(help="A folder, or user/repo on the Hugging Face Hub.")],
    license: Annotated[str | None, typer.Option(help="What others may do, such as mit.")] = None,
    private: Annotated[bool, typer.Option("--private", help="If it is new on the Hub.")] = False,
    weights: Weights = None,
    last: Last = False,
    trust: Trust = False,
) -> None:
    """Share a model: weights, settings, image transform, figures and a model card.

    A name such as user/repo is a folder if it exists, or if there is a folder named user.

    Example: gcahng share runs/photos-seed0 --to ./shared/photos
    """
    with loading():
        from gcahng.inference.embedder import load_embedder, names_repository

    found = load_embedder(model, weights=weights, device="cpu", last=last, trust=trust)
    if names_repository(to):
        where = found.push_to_hub(to, private=private, license=license)
    elif private:
        raise ValueError(f"--private applies to the Hub, and '{to}' is a folder")
    else:
        found.save_pretrained(to, license=license)
        where = str(Path(to))
    hint = "" if license else "; name a license in its README.md"
    console.print(f"shared {where}{hint}", soft_wrap=True)


def export(
    model: Model,
    onnx: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    with_preprocessing: Annotated[
        bool,
        typer.Option("--with-preprocessing", help="uint8 pictures go in, unit vectors come out."),
    ] = False,
    weights: Weights = None,
    last: Last = False,
    trust: Trust = False,
) -> None:
    """Export a model to ONNX, compared with the original before the file is kept.

    Example: gcahng export runs/photos-seed0 --onnx photos.onnx
    """
    with loading():
        from gcahng.files import check_file
        from gcahng.inference.embedder import load_embedder
        from gcahng.inference.onnx_export import export_onnx

    check_file(onnx, "--onnx", (".onnx",))
    found = load_embedder(model, weights=weights, device="cpu", last=last, trust=trust)
    exported = export_onnx(found, onnx, with_preprocessing=with_preprocessing)
    sizes = ", ".join(map(str, exported.batch_sizes))
    console.print(
        f"wrote {exported.path}: {exported.size / 2**20:.1f} MiB\n"
        f"compared on {exported.images} in batches of {sizes}: embeddings differ by at most "
        f"{exported.difference:.1e} of their norm (allowed: {exported.allowed:.0e})",
        soft_wrap=True,
    )
