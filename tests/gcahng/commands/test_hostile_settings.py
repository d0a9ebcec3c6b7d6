"""Settings that cannot be: each is one sentence that names the setting, before anything is made."""

import pytest

from tests.gcahng.commands.conftest import Refused

BACKBONE, SHAPES = "embedder.backbone.args", "embedder.backbone: 'small_conv' cannot embed images"
TIMM = "embedder.backbone={{name: timm/resnet18, args: {{pretrained: false, {}}}}}"
SETTINGS = [
    # Sizes
    (f"{BACKBONE}.channels=[-8,64,64]", f"{BACKBONE}: Expected 'in_channels', 'channels' and"),
    (f"{BACKBONE}.channels=[1e9,64,64]", f"{BACKBONE}.channels[0]: expected an integer"),
    (f"{BACKBONE}.channels=8", f"{BACKBONE}.channels: expected a list, got 8"),
    (f"{BACKBONE}.channels=[]", f"{BACKBONE}: Expected 'channels' and 'strides' of equal length"),
    (f"{BACKBONE}.in_channels=3", SHAPES),
    (f"{BACKBONE}=5", f"{BACKBONE}: expected a mapping, got 5"),
    ("embedder.dim=-8", "embedder.dim: expected a value greater than or equal to 1, got -8"),
    ("embedder.dim=10", "generator.args: Expected 'in_channels' divisible by 4 heads (got 10)"),
    ("batch.classes=9", "batch.classes: expected at most the 5 training classes, got 9"),
    ("data.transform.train.size=x", "data.transform.train.size: expected an integer, got 'x'"),
    ("data.transform.train.size=0", "data.transform.train: Expected 'size' of at least 1"),
    ("data.workers=1000000", "data.workers: expected a value less than or equal to 512"),
    # Numbers
    ("seed=1180591620717411303424", "seed: "),
    ("seed=x", "seed: expected an integer, got 'x'"),
    ("optim.embedder.lr=1e400", "optim.embedder.lr: expected a finite number"),
    ("eval.ks=[0]", "eval.ks[0]: expected a value greater than or equal to 1, got 0"),
    # Machines
    ("fabric.devices=-5", "fabric: accelerator 'auto' with devices -5"),
    (
        "fabric.devices=100 fabric.accelerator=cpu",
        "fabric.devices: 100 processes were asked for, but this machine",
    ),
    ("fabric.accelerator=tpu", "fabric: accelerator 'tpu'"),
    ("fabric.precision=16", "fabric.precision: expected '32-true'"),
    # Components and their arguments
    ("data.name=digit", "data.name: unknown data set 'digit' (did you mean"),
    ("data.args.foo=1", "data.args: data set 'digits' takes no 'foo'; it"),
    ("data.name=folder data.args.path=2021", "data.args.path: expected text, got 2021"),
    ("data.args.root=photos", "data.args: 'root' is not an argument"),
    ("data.root=2021 data.name=folder", "There is no folder '2021'"),
    ("data.root=my_SPACE_photos_SPACE_#2 data.name=folder", "There is no folder 'my photos #2'"),
    ("data.validation=0.2", "data.validation: A validation share of 0.2"),
    ("data.transform.name=nope", "data.transform.name: unknown transform"),
    ("embedder.backbone.name=conv", "embedder.backbone.name: unknown backbone"),
    (TIMM.format("act_layer: nope"), f"{BACKBONE}: 'resnet18' cannot be built"),
    (TIMM.format("block_args: 3"), f"{BACKBONE}: "),
    (TIMM.format("output_stride: 3"), f"{BACKBONE}: 'resnet18' cannot be built: AssertionError"),
    ("embedder.freeze=[patch]", "embedder.freeze: The backbone SmallConv"),
    ("embedder.warm_start={steps:_SPACE_9}", "has no split 'warm_start'"),
    ("loss.name=npiar", "loss.name: unknown metric loss 'npiar' (did you"),
    ("loss.name=os:path", "loss.name: Expected metric loss 'os:path' to be a torch.nn."),
    ("loss.name=..:x", "loss.name: unknown metric loss '..:x'"),
    ("embedder.backbone.name=timm/hf-hub:timm/x", "embedder.backbone.name: unknown backbone"),
    ("loss.args.margin=1", "loss.args: metric loss 'npair' takes no 'margin'"),
    ("loss.args.temperature=0", "loss.args: Expected 'temperature' > 0"),
    ("loss.args.temperature=x", "loss.args.temperature: expected a number, got 'x'"),
    ("generator.name=json:JSONDecoder", "generator.name: Expected generator 'json:JSONDecoder'"),
    ("generator.name=unmoved generator.args.alpha=9", "generator 'unmoved' takes no 'alpha'"),
    ("generator.alpha=2", "unknown key 'generator.alpha'"),
    ("generator.args.temperature=0", "generator.args: Expected 'temperature' > 0 (got 0"),
    ("generator.name=das generator.args.scale=3", "generator.args.scale: expected a list, got 3"),
    ("generator.args.graph.conv=gcm", "generator.args: unknown layer 'gcm'"),
    ("generator.args.graph.layers=[5]", "generator.args.graph.layers[0]: expected text or a mapp"),
    ("generator.args.graph.conv={name:_SPACE_gca,args:_SPACE_{heads:_SPACE_0}}", "(got 0)"),
    ("quirks=fathful", "quirks: expected 'faithful', 'corrected' or a mapping"),
    # The form of overrides
    ("train.epoch=1", "override: unknown key 'train.epoch' (did you mean"),
    ("train=5", "train: expected a mapping, got 5"),
    ("train=5 train.epochs=1", "override 'train.epochs=1': train was set to 5 before it"),
    ("name=", "override 'name=': no value given"),
    ("data", "override 'data': expected key.path=value"),
    ("train.epochs=[1", "override 'train.epochs=[1', line 1, column 3: not valid YAML"),
    ("output=file.yaml", "file.yaml"),
]


@pytest.mark.parametrize(("settings", "sentence"), SETTINGS, ids=lambda value: value[:50])
def test_a_setting_is_refused(settings: str, sentence: str, refused: Refused) -> None:
    one = settings if "{name: timm" not in settings else settings.replace(" ", "_SPACE_")
    refused(f"train digits {one}", sentence)
