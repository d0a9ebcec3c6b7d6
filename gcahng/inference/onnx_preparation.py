"""The preparation of a picture as an ONNX graph, to be put before an exported network."""

from pathlib import Path

from gcahng.preparation import Preparation, Size

# What each filter of Pillow is in ONNX's operator Resize.
FILTERS = {"bilinear": "linear", "bicubic": "cubic"}

# As Pillow, rows are resized first, and levels rounded after either, halves up. As torchvision, the
# crop rounds the halves of an odd excess to even.
GRAPH = """<ir_version: {ir_version}, opset_import: ["" : {opset}]>
prepare (uint8[n, h, w, 3] pictures) => (float[n, 3, {height}, {width}] images)
<int64[{resizes}] resize = {{{resize}}}, int64[2] crop = {{{height}, {width}}},
 int64[2] axes = {{2, 3}}, float black = {{0}}, float white = {{255}}, float half = {{0.5}},
 float[1, 3, 1, 1] mean = {{{mean}}}, float[1, 3, 1, 1] std = {{{std}}}>
{{
  turned = Transpose <perm = [0, 3, 1, 2]> (pictures)
  pixels = Cast <to = 1> (turned)
  batch = Shape <end = 2> (pixels)
  sides = Shape <start = 2> (pixels)
  {target}
  height, old_width = Split <axis = 0, num_outputs = 2> (sides)
  new_height, width = Split <axis = 0, num_outputs = 2> (target)
  narrow = Concat <axis = 0> (batch, height, width)
  rows = Resize <mode = "{mode}", antialias = 1, cubic_coeff_a = -0.5, exclude_outside = 1>
    (pixels, , , narrow)
  raised_rows = Add (rows, half)
  rounded_rows = Floor (raised_rows)
  row_levels = Clip (rounded_rows, black, white)
  shape = Concat <axis = 0> (batch, target)
  columns = Resize <mode = "{mode}", antialias = 1, cubic_coeff_a = -0.5, exclude_outside = 1>
    (row_levels, , , shape)
  raised = Add (columns, half)
  rounded = Floor (raised)
  levels = Clip (rounded, black, white)
  excess = Sub (target, crop)
  excess_float = Cast <to = 1> (excess)
  halves = Mul (excess_float, half)
  even = Round (halves)
  start = Cast <to = 7> (even)
  stop = Add (start, crop)
  middle = Slice (levels, start, stop, axes)
  centred = Sub (middle, mean)
  images = Div (centred, std)
}}"""
# The shorter side gets a fixed length, the other one the whole part of what keeps the ratio.
SHORTER_SIDE = """enlarged = Mul (sides, resize)
  short = ReduceMin <keepdims = 1> (sides)
  target = Div (enlarged, short)"""
BOTH_SIDES = "target = Identity (resize)"
UNIT = """<ir_version: {ir_version}, opset_import: ["" : {opset}]>
unit (float[n, d] given) => (float[n, d] embeddings)
{{
  embeddings = LpNormalization <axis = 1, p = 2> (given)
}}"""


def prepend_preparation(path: Path, steps: Preparation) -> None:
    """Put the preparation of pictures before a network in a file, and the L2 norm after it.

    Pictures [N, H, W, 3] of RGB levels as uint8, H and W free, become unit vectors [N, D]. The
    resized levels differ from Pillow's by at most one, and hardly anywhere.
    """
    import onnx

    network = onnx.load(path)
    versions = {
        "ir_version": network.ir_version,
        "opset": next(one.version for one in network.opset_import if not one.domain),
    }
    before = onnx.parser.parse_model(preparation_graph(steps, **versions))
    after = onnx.parser.parse_model(UNIT.format(**versions))
    # The network's own names might be some of these.
    made = onnx.compose.merge_models(before, network, [("images", "images")], prefix2="network/")
    made = onnx.compose.merge_models(made, after, [("network/embeddings", "given")])
    onnx.save(made, path)


def check_preparation(steps: Preparation) -> None:
    """Raise a ValueError if a preparation cannot be part of the file."""
    if not steps.rgb or not steps.resize or not steps.size or steps.interpolation not in FILTERS:
        raise ValueError(
            "--with-preprocessing: only photos that are resized (bilinear or bicubic) and then "
            "cropped can be prepared in the file, and this model prepares its images otherwise"
        )
    if any(side < crop for side, crop in zip(_pair(steps.resize), _pair(steps.size), strict=True)):
        raise ValueError(
            f"--with-preprocessing: the crop ({steps.size}) exceeds the resized picture "
            f"({steps.resize}), and the file cannot add a border"
        )


def preparation_graph(steps: Preparation, ir_version: int, opset: int) -> str:
    """Write the preparation in ONNX's textual form: `pictures` to `images`."""
    assert steps.resize is not None
    assert steps.size is not None
    height, width = _pair(steps.size)
    resize = [steps.resize] if isinstance(steps.resize, int) else list(steps.resize)
    mean, std = steps.mean or (0.0,) * 3, steps.std or (1.0,) * 3
    return GRAPH.format(
        ir_version=ir_version,
        opset=opset,
        height=height,
        width=width,
        resizes=len(resize),
        resize=", ".join(map(str, resize)),
        target=SHORTER_SIDE if isinstance(steps.resize, int) else BOTH_SIDES,
        mode=FILTERS[steps.interpolation],
        mean=", ".join(repr(255 * value) for value in mean),
        std=", ".join(repr(255 * value) for value in std),
    )


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
