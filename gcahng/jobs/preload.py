"""Import what a training needs, in the process from which trainings are forked."""

from importlib import import_module

from gcahng.allocator import lasting_imports

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

with lasting_imports():
    for module in IMPORTED:
        import_module(module)
