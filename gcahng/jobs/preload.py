"""Import what a training needs, in the process from which trainings are forked."""

from importlib import import_module

from gcahng.commands.terminal import loading

# What a training imports, beside the data set and the backbone that it names.
IMPORTED = (
    "gcahng.cli",
    "gcahng.commands.run",
    "gcahng.data.transforms",
    "gcahng.generators",
    "gcahng.losses",
    "gcahng.models",
    "gcahng.training.trainer",
    "gcahng.training.warm_start",
    "torch._dynamo",
    "torch.utils.tensorboard",
)

with loading():
    for module in IMPORTED:
        import_module(module)
