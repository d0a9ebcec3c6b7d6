"""Whether a training was worth it: the model against its backbone without training."""

import shlex
from collections.abc import Mapping

from gcahng.config import ExperimentConfig
from gcahng.config.experiment import parse_config
from gcahng.config.sections import EmbedderConfig
from gcahng.models.backbones import starts_pretrained
from gcahng.registry import names_class
from gcahng.runs.record import RunRecord, figure_title

INTERVALS = "95 % intervals by a bootstrap over classes"


def verdict(record: RunRecord) -> str | None:
    """Say whether a finished run is better than its untrained backbone, and what to do if not."""
    config = parse_config(record.config, record.name)
    sentence = comparison(record.results, config, record.results.get("untrained_px"))
    if sentence is None or record.results["gain/map@r/low"] > 0:
        return sentence
    return " ".join([sentence, *_advice(record.results), *_instead(config.embedder)])


def comparison(
    figures: Mapping[str, float], config: ExperimentConfig, pixels: float | None = None
) -> str | None:
    """Compare a model in words with its untrained backbone; None without `gain/…` figures.

    Example:
        >>> from gcahng.config import load_config
        >>> gain = {"gain/map@r": 0.1, "gain/map@r/low": 0.05, "gain/map@r/high": 0.14}
        >>> print(comparison(gain, load_config("paper/cub_resnet50"), 224))
        Better than the untrained resnet50 at 224 px: MAP@R +10.00 [+5.00, +14.00], in percent...
    """
    if "gain/map@r" not in figures:
        return None
    low, high = figures["gain/map@r/low"], figures["gain/map@r/high"]
    word = "Better than" if low > 0 else "Worse than" if high < 0 else "No difference seen to"
    untrained = "its features before training"
    if is_public(config.embedder):
        at = "" if pixels is None else f" at {pixels:.0f} px"
        untrained = f"the untrained {config.embedder.backbone.name.rpartition('/')[2]}{at}"
    return f"{word} {untrained}: {gains_in_words(figures)}"


def gains_in_words(figures: Mapping[str, float]) -> str:
    """List the `gain/…` figures of a comparison with their intervals.

    Example:
        >>> gain = {"gain/map@r": 0.1, "gain/map@r/low": 0.05, "gain/map@r/high": 0.14}
        >>> print(gains_in_words(gain))
        MAP@R +10.00 [+5.00, +14.00], in percentage points (95 % intervals by a bootstrap ...).
    """
    names = [name for name in figures if name.startswith("gain/") and name.count("/") == 1]
    gains = []
    for name in names:
        value, low, high = (100 * figures[name + end] for end in ("", "/low", "/high"))
        title = figure_title(name.removeprefix("gain/"))
        gains.append(f"{title} {value:+.2f} [{low:+.2f}, {high:+.2f}]")
    return f"{', '.join(gains)}, in percentage points ({INTERVALS})."


def is_public(embedder: EmbedderConfig) -> bool:
    """Whether the network before training is a pretrained one that anybody can open by its name."""
    backbone = embedder.backbone
    own = embedder.warm_start is not None or names_class(backbone.name)
    return not own and starts_pretrained(backbone.name, backbone.args)


def _instead(embedder: EmbedderConfig) -> list[str]:
    """The command that searches with the untrained network, if there is one."""
    if not is_public(embedder):
        return []
    words = ["gcahng", "index", embedder.backbone.name, "PHOTOS", "--store", "photos.store"]
    if weights := embedder.backbone.args.get("weights"):
        words += ["--weights", str(weights)]
    return [f"To search with the untrained network: {shlex.join(words)}"]


def _advice(results: Mapping[str, float]) -> list[str]:
    """What to try, by where the curve of the figure that chooses an epoch is highest."""
    epochs, highest = results.get("epochs", 0), results.get("highest_epoch", 0)
    if not epochs:
        return []
    advice = "another learning rate"
    if highest == epochs:
        advice = "more epochs: of those trained, the last had the highest figure"
    elif highest <= epochs / 2:
        advice = "fewer epochs, a smaller learning rate or fewer trained layers"
    return [f"To train better, try {advice}."]
