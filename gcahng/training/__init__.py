"""The training step and the loop around it.

Lightning Fabric is imported here, before all modules that use it, and without torchmetrics: it asks
for that library's version by importing it, where it is installed, and with it SciPy and matplotlib.
This takes as long as torch, for a callback that is not used here.
"""

import sys

_absent = "torchmetrics" not in sys.modules
if _absent:
    sys.modules["torchmetrics"] = None  # type: ignore[assignment]  # as if not installed
try:
    import lightning_fabric  # noqa: F401
finally:
    if _absent:
        del sys.modules["torchmetrics"]
