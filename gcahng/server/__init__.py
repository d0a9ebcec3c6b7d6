"""The web page of a store: find pictures by dropping one, on this machine."""

from importlib.util import find_spec

from gcahng.reasons import install_extra

for _name in ("starlette", "uvicorn"):
    if find_spec(_name) is None:
        raise ImportError(
            f"gcahng serve needs {_name}, which is not installed: {install_extra('search')}"
        )
