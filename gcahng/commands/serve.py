"""`gcahng serve`: find the pictures of a store on a web page."""

from typing import Annotated

import typer

from gcahng.commands.options import Device, MovedModel, Trust, Weights
from gcahng.commands.terminal import console, loading


def serve(
    store: Annotated[str, typer.Argument(help="What gcahng index made.")],
    model: MovedModel = None,
    weights: Weights = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 is open to other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    most_mib: Annotated[float, typer.Option(min=0.001, help="Largest upload in MiB.")] = 20,
    most_megapixels: Annotated[
        float, typer.Option(min=0.001, max=150, help="Largest picture that is decoded.")
    ] = 50,
    device: Device = None,
    trust: Trust = False,
) -> None:
    """Find the pictures of a store on a web page of this machine.

    Drop, paste or choose a picture, or click one that was found. Ctrl-C ends the server.

    Example: gcahng serve photos.store
    """
    with loading():
        from gcahng.inference.embedder import load_store_model
        from gcahng.inference.store import PictureStore
        from gcahng.server.app import build_app
        from gcahng.server.finder import Finder, Limits
        from gcahng.server.serve import is_loopback, listen, run, web_address

    opened = PictureStore(store)
    connection = listen(host, port)
    embedder = load_store_model(opened, model, weights=weights, device=device, trust=trust)
    limits = Limits(int(most_mib * 2**20), int(most_megapixels * 10**6))
    app = build_app(Finder(opened, embedder, limits), only_local=is_loopback(connection))
    lines = [
        f"{store}: {len(opened):,} pictures",
        f"{web_address(host, connection)} (Ctrl-C ends the server)",
    ]
    if not is_loopback(connection):
        lines.insert(1, "everyone who can reach this machine can search and see the pictures")
    console.print("\n".join(lines), soft_wrap=True)
    run(app, connection)
