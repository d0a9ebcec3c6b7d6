"""Settings that cannot be: each is one sentence that names the setting, before anything is made."""

import pytest

from tests.gcahng.commands.conftest import Refused

BACKBONE, SHAPES = "embedder.backbone.args", "embedder.backbone: 'small_conv' cannot embed images"
TIMM = "embedder.backbone={{name: timm/resnet18, args: {{pretrained: false, {}}}}}"
SETTINGS = [
    # Sizes
    (f"{BACKBONE}.channels=[-8,64,64]", f"{BACKBONE}: Expected 'in_channels', 'channels' and"),
    (f"{BACKBONE}.channels=[0,64,64]", f"{BACKBONE}: Expected 'in_channels', 'channels' and"),
    (f"{BACKBONE}.channels=[1000000000,64,64]", f"{BACKBONE}: "),
    (f"{BACKBONE}.channels=[1000000000000000000000000,64,64]", f"{BACKBONE}: "),
    (f"{BACKBONE}.channels=[1e9,64,64]", "expected 'channels' as a list of integers"),
    (f"{BACKBONE}.channels=8", "expected 'channels' as a list of integers, got 8"),
    (f"{BACKBONE}.channels=[[1],2,3]", "expected 'channels' as a list of integers"),
    (f"{BACKBONE}.channels=[]", f"{BACKBONE}: Expected 'channels' and 'strides' of equal length"),
    (f"{BACKBONE}.strides=[0,1,1]", f"{BACKBONE}: Expected 'in_channels', 'channels' and"),
    (f"{BACKBONE}.in_channels=-1", f"{BACKBONE}: Expected 'in_channels', 'channels' and"),
    (f"{BACKBONE}.in_channels=3", SHAPES),
    (f"{BACKBONE}.in_channels=x", f"{BACKBONE}: backbone 'small_conv': expected 'in_channels'"),
    (f"{BACKBONE}=5", f"{BACKBONE}: expected a mapping, got 5"),
    ("embedder.dim=-8", "embedder.dim: expected an integer ≥ 1 and ≤ 65536, got -8"),
    ("embedder.dim=10000000000000", "embedder.dim: expected an integer ≥ 1 and ≤ 65536"),
    ("embedder.dim=10", "embedder.dim: expected a multiple of generator.graph.heads (4), got 10"),
    ("batch.samples=1000000000", "batch.samples: expected an integer ≥ 2 and ≤ 10000"),
    ("batch.classes=1000000000", "batch.classes: expected at most the 5 training classes"),
    ("batch.classes=9", "batch.classes: expected at most the 5 training classes, got 9"),
    ("data.transform.train.size=x", "data.transform.train: transform 'digits': expected 'size'"),
    ("data.transform.train.size=0", SHAPES),
    ("data.workers=1000000", "data.workers: expected an integer ≥ 0 and ≤ 512"),
    # Numbers
    ("fabric.threads=100000", "fabric.threads: expected an integer ≥ 1 and ≤ 1024"),
    ("seed=1180591620717411303424", "seed: expected an integer ≥ 0 and ≤ 4294967295"),
    ("seed=-1", "seed: expected an integer ≥ 0"),
    ("seed=x", "seed: expected an integer ≥ 0"),
    (f"train.epochs={'9' * 40}", "train.epochs=999"),
    ("generator.alpha=nan", "generator.alpha: expected a number ≥ 0"),
    ("optim.embedder.lr=1e400", "optim.embedder.lr: expected a number > 0"),
    ("optim.embedder.lr=0", "optim.embedder.lr: expected a number > 0, got 0"),
    ("eval.ks=[0]", "eval.ks[0]: expected an integer ≥ 1, got 0"),
    ("eval.ks=[]", "eval.ks: expected a non-empty list"),
    ("train.max_seconds=0", "train.max_seconds: expected a number > 0"),
    # Machines
    ("fabric.devices=-5", "fabric: accelerator 'auto' with devices -5"),
    (
        "fabric.devices=100 fabric.accelerator=cpu",
        "fabric.devices: 100 processes were asked for, but this machine",
    ),
    ("fabric.accelerator=tpu", "fabric: accelerator 'tpu'"),
    ("fabric.strategy=x", "fabric.strategy: expected one of auto, ddp, got 'x'"),
    ("fabric.precision=16", "fabric.precision: expected '32-true'"),
    # Components and their arguments
    ("data.name=digit", "data.name: unknown data set 'digit' (did you mean"),
    ("data.args.foo=1", "data.args: data set 'digits' takes no 'foo'; it"),
    ("data.args.path=2021", "data.args: data set 'digits' takes no 'path'"),
    (
        "data.name=folder data.args.path=2021",
        "'path' as text or null, got 2021; write it in quo",
    ),
    ("data.name=csv data.args.file=5", "data.args: data set 'csv': expected 'file' as text"),
    ("data.args.split=train", "data.args: 'split' is not an argument"),
    ("data.root=2021 data.name=folder", "There is no folder '2021'"),
    ("data.root=my_SPACE_photos_SPACE_#2 data.name=folder", "There is no folder 'my photos #2'"),
    ("data.root=[old]_SPACE_photos data.name=folder", "There is no folder '[old] photos'"),
    ("data.root=photos:_SPACE_new data.name=folder", "There is no folder 'photos: new'"),
    ("data.validation=0.2", "data.validation: A validation share of 0.2"),
    ("data.transform.name=nope", "data.transform.name: unknown transform"),
    (
        "data.transform.name=imagenet data.transform.train.size=1000000",
        "data.transform: the images of the train split cannot be made",
    ),
    ("embedder.backbone.name=conv", "embedder.backbone.name: unknown backbone"),
    (
        TIMM.format("act_layer: nope"),
        "embedder.backbone.args: 'timm/resnet18' cannot be built",
    ),
    (TIMM.format("block_args: 3"), "embedder.backbone.args: "),
    (TIMM.format("output_stride: 3"), "embedder.backbone.args: AssertionError"),
    ("embedder.freeze=[patch]", "embedder.freeze: The backbone SmallConv"),
    ("embedder.freeze=bn", "embedder.freeze: expected a list of"),
    ("embedder.warm_start={steps:_SPACE_9}", "has no split 'warm_start'"),
    ("loss.name=npiar", "loss.name: unknown metric loss 'npiar' (did you"),
    ("loss.name=os:path", "loss.name: Expected metric loss 'os:path' to be a torch.nn.Module"),
    ("loss.name=..:x", "loss.name: Expected a metric loss of your own as"),
    ("loss.args.margin=1", "loss.args: metric loss 'npair' takes no 'margin'"),
    ("loss.args.temperature=0", "loss.args: Expected 'temperature' > 0"),
    ("loss.args.temperature=x", "loss.args: metric loss 'npair': expected 'temperature' as a num"),
    ("loss.name=proxy_anchor loss.args.num_classes=2", "loss.args: Class values must be smaller"),
    ("loss.name=TripletMarginLoss loss.args.margin=x", "loss.args: unsupported operand"),
    ("loss.lr=0.1", "loss.lr has no effect"),
    ("generator.name=json:JSONDecoder", "generator.name: Expected generator 'json:JSONDecoder'"),
    ("generator.name=unmoved generator.gamma=99", "generator.gamma has no effect: generator 'unmo"),
    ("generator.args.layers=2", "'layers' is set by generator.graph.layers"),
    ("generator.args.temperature=0", "generator.args: Expected 'temperature' > 0 (got 0)"),
    ("generator.args.temperature=x", "generator.args: generator 'gca_hng': expected 'temperature'"),
    ("generator.name=das generator.args.channels=0", "generator.args: Expected 'produced'"),
    ("generator.name=das generator.args.scale=3", "expected 'scale' as a list of 2 numbers, got 3"),
    ("generator.graph.conv=gcm", "generator.graph.conv: unknown layer 'gcm'"),
    ("generator.graph.layers=100000000", "generator.graph.layers: expected an integer ≥ 0 and ≤"),
    ("generator.graph.layers=[5]", "generator.graph.layers: expected an integer"),
    ("generator.graph.layers=[{name:gca}]", "generator.graph.layers: expected an integer"),
    ("generator.graph.layers=[{name:_SPACE_gca,args:_SPACE_{heads:_SPACE_0}}]", "one head (got 0)"),
    ("generator.graph.layers=[{name:_SPACE_gca,args:_SPACE_{heads:_SPACE_-1}}]", "one head (got"),
    ("quirks=fathful", "quirks: expected 'faithful', 'corrected' or a mapping"),
    # The form of overrides
    ("train.epoch=1", "override: unknown key 'train.epoch' (did you mean"),
    ("a.b.c=1", "override: unknown key 'a'; allowed here"),
    ("train=5", "train: expected a mapping (keys: epochs"),
    ("train=5 train.epochs=1", "override 'train.epochs=1': train was set to 5 before it"),
    ("data=null", "data: expected a mapping"),
    ("name=a/b", "name: expected text matching"),
    ("name=", "override 'name=': no value given"),
    ("=1", "override '=1': expected key.path=value"),
    ("data", "override 'data': expected key.path=value"),
    ("train.epochs=[1", "override 'train.epochs=[1', line 1, column 3: not valid YAML"),
    ("loss={args:_SPACE_&x_SPACE_{a:_SPACE_*x}}", "the value of &x contains itself"),
    ("output=file.yaml", "file.yaml"),
    ("output=/dev/null", "/dev/null"),
    ("output=a\0b", "the value contains a NUL character"),
    ("data.root=a\0b", "the value contains a NUL character"),
]


@pytest.mark.parametrize(("settings", "sentence"), SETTINGS, ids=lambda value: value[:50])
def test_a_setting_is_refused(settings: str, sentence: str, refused: Refused) -> None:
    one = settings if "{name: timm" not in settings else settings.replace(" ", "_SPACE_")
    refused(f"train digits {one}", sentence)
