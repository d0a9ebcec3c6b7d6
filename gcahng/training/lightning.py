"""Lightning Fabric, imported without torchmetrics.

At its import, Fabric asks for the version of torchmetrics by importing it, where it is installed,
and with it SciPy and matplotlib: this takes as long as torch, for a callback that is not used here.
"""

import sys

_absent = "torchmetrics" not in sys.modules
if _absent:
    sys.modules["torchmetrics"] = None  # type: ignore[assignment]  # as if not installed
try:
    from lightning_fabric import Fabric, seed_everything
    from lightning_fabric.loggers import Logger, TensorBoardLogger
    from lightning_fabric.plugins.environments import LightningEnvironment
    from lightning_fabric.strategies import DDPStrategy
finally:
    if _absent:
        del sys.modules["torchmetrics"]

__all__ = [
    "DDPStrategy",
    "Fabric",
    "LightningEnvironment",
    "Logger",
    "TensorBoardLogger",
    "seed_everything",
]
