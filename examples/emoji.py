"""Make class folders of real pictures: 1,163 emoji, each as four to eight designers drew it.

    pip install resvg-py
    python examples/emoji.py datasets/emoji
    python -m gcahng train emoji/finetune

The drawings are packages of npm, fetched by `npm pack`. On a machine without npm or network, give
the folder that holds their files: `--packages FOLDER`.

As in Stanford Online Products there are many classes of a few pictures each, and no class is in
both splits. Skin tones, gendered and family variants, clocks, flags and symbols are left out.
"""

import argparse
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

SIDE = 96
LEAST_SETS = 4
# Packages `@iconify-json/…`; the first one defines the classes. Two candidates are left out:
# fluent-emoji is nearly a copy of fluent-emoji-flat, and the packages of Apple's and Facebook's
# drawings give no licence.
PACKAGES = (
    "noto@1.2.9",
    "noto-v1@1.2.5",
    "twemoji@1.2.5",
    "openmoji@1.2.29",
    "emojione@1.2.3",
    "emojione-v1@1.2.3",
    "fluent-emoji-flat@1.2.6",
    "fxemoji@1.2.2",
)
LEFT_OUT_CATEGORIES = (None, "Flags", "Symbols")
# Skin tones and genders.
LEFT_OUT_CODES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff", "2640", "2642"}
# Variants of one motif that differ in who is shown, and the clock's 24 positions.
PERSON = "(man|woman|men|women|boy|girl)"
LEFT_OUT_NAMES = re.compile(
    rf"^{PERSON}(-|$)|-{PERSON}$|(^|-)(family|couple|people|handshake)(-|$)|^kiss$|holding-hands"
    "|-(oclock|thirty)$"
)
# Selects a drawing in text or in colour, and is not part of an emoji's identity.
VARIATION_SELECTOR = "-fe0f"
# In sets without code points, names that mean another emoji, as their drawings show.
MEANT = {
    "emojione-v1": {"keyboard": "a keyboard to play on"},
    "fxemoji": {
        **{animal: f"{animal}-face" for animal in ("cat", "dog", "mouse", "pig", "tiger")},
        **{f"{animal}side": animal for animal in ("cat", "dog", "leopard", "mouse", "pig")},
        **{"tigerside": "tiger", "bunny": "rabbit-face", "bunnyside": "rabbit"},
        **{"dragonhead": "dragon-face", "dragonside": "dragon"},
        **{"construction": "building-construction", "constructionsign": "construction"},
        **{"darksunglasses": "sunglasses", "sunglasses": "smiling-face-with-sunglasses"},
        **{"keyboard": "a keyboard to play on", "window": "a window on a screen"},
    },
}


@dataclass(frozen=True)
class IconSet:
    """The drawings of one designer.

    Attributes:
        name: Of the set.
        files: The contents of the package's JSON files, as Iconify defines them.
    """

    name: str
    files: Mapping[str, Any]

    @cached_property
    def codes(self) -> dict[str, str]:
        """The drawing's name of each emoji, by code points such as `1f997`; empty if not given."""
        found: dict[str, str] = {}
        for code, name in self.files["chars"].items():
            found.setdefault(code.replace(VARIATION_SELECTOR, ""), name)
        return found

    @cached_property
    def other_names(self) -> dict[str, list[str]]:
        """Further names of each drawing, without aliases that also turn or flip it."""
        found: dict[str, list[str]] = {}
        for alias, change in self.files["icons"].get("aliases", {}).items():
            if change.keys() == {"parent"}:
                found.setdefault(change["parent"], []).append(alias)
        return found

    def svg(self, name: str) -> str:
        """Return a drawing as a file."""
        icon = {**self.files["icons"], **self.files["icons"]["icons"][name]}
        size = [icon.get(key, 16) for key in ("width", "height")]
        box = " ".join(map(str, (icon.get("left", 0), icon.get("top", 0), *size)))
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box}">{icon["body"]}</svg>'
        )

    def attribute(self) -> str:
        """Say who drew the set, and under which licence."""
        info = self.files["info"]
        author, licence = (
            f"{one.get('name') or one['title']} ({one.get('url', 'no address given')})"
            for one in (info["author"], info["license"])
        )
        return f"- `{self.name}.png`: {info['name']} by {author}, {licence}\n"


def choose_pictures(sets: Sequence[IconSet]) -> dict[str, str]:
    """Choose one drawing of each set for each emoji that enough sets have drawn.

    The split of a class depends on its name alone. A drawing is matched by its code points where
    its package has them, else by its own name, else by another name of it. A name of another
    drawing is not tried: in some sets, `cricket` is an alias of the sport.

    Returns:
        The drawings by the picture's path, `SPLIT/EMOJI/SET.png`.
    """
    reference = sets[0]
    groups = reference.files["metadata"].get("categories", {}).items()
    category = {name: key for key, names in groups for name in names}
    classes = {
        code: name
        for code, name in reference.codes.items()
        if not set(code.split("-")) & LEFT_OUT_CODES
        and category.get(name) not in LEFT_OUT_CATEGORIES
        and not LEFT_OUT_NAMES.search(name)
    }
    known = _codes_by_name(sets)
    drawings: dict[str, dict[str, str]] = {code: {} for code in classes}
    for one in sets:
        for code, name in (one.codes or _match_by_name(one, known)).items():
            if code in classes:
                drawings[code][one.name] = one.svg(name)
    # A drawing that stands for two emoji is wrong for one of them.
    uses = Counter(svg for found in drawings.values() for svg in found.values())
    pictures: dict[str, str] = {}
    for code, found in drawings.items():
        own = {key: svg for key, svg in found.items() if uses[svg] == 1}
        if len(own) >= LEAST_SETS:
            name = classes[code]
            split = "test" if hashlib.sha256(name.encode()).digest()[-1] % 2 else "train"
            folder = f"{split}/{name}"
            pictures |= {f"{folder}/{key}.png": svg for key, svg in own.items()}
    return pictures


def _codes_by_name(sets: Sequence[IconSet]) -> dict[str, str]:
    """The code points of each name in sets that have code points, main names first."""
    known = sets[0].codes.keys()
    drawn = [(one, *pair) for one in sets for pair in one.codes.items() if pair[0] in known]
    names = [(name, code) for _, code, name in drawn]
    names += [(key, code) for one, code, name in drawn for key in one.other_names.get(name, [])]
    # Of those that are the same without dashes, the first counts.
    return {_fold(name): code for name, code in reversed(names)}


def _match_by_name(one: IconSet, known: Mapping[str, str]) -> dict[str, str]:
    """The drawing's name of each emoji, in a set without code points."""
    meant = MEANT.get(one.name, {})
    own = {name: known.get(_fold(meant.get(name, name))) for name in one.files["icons"]["icons"]}
    pairs = [(code, name) for name, code in own.items() if code is not None]
    for name in (name for name, code in own.items() if code is None):
        keys = map(_fold, one.other_names.get(name, []))
        pairs += [(known[key], name) for key in keys if key in known]
    return dict(reversed(pairs))  # of several drawings of an emoji, the first


def _fold(name: str) -> str:
    return name.replace("-", "").lower()


def read_sets(folder: Path, packages: Sequence[str] = PACKAGES) -> list[IconSet]:
    """Read packages `NAME@VERSION` from their files in a folder."""
    sets = []
    for package in packages:
        files = {}
        with tarfile.open(folder / f"iconify-json-{package.replace('@', '-')}.tgz") as archive:
            for key in ("icons", "chars", "metadata", "info"):
                if (file := archive.extractfile(f"package/{key}.json")) is not None:
                    files[key] = json.load(file)
        sets.append(IconSet(package.partition("@")[0], files))
    return sets


def main(out: Path, packages: Path | None = None) -> None:
    """Render all pictures into `out`, completely or not at all."""
    from resvg_py import svg_to_bytes

    if out.exists():
        raise FileExistsError(f"'{out}' exists already: move it away, or name another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".emoji-") as name:
        temporary = Path(name)
        if packages is None:
            specs = [f"@iconify-json/{package}" for package in PACKAGES]
            subprocess.run(["npm", "pack", "--silent", *specs], cwd=temporary, check=True)
        sets = read_sets(packages or temporary)
        for path, svg in choose_pictures(sets).items():
            file = temporary / "out" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            png = svg_to_bytes(
                svg, width=SIDE, height=SIDE, background="#ffffff", skip_system_fonts=True
            )
            file.write_bytes(bytes(png))
        (temporary / "out" / "ATTRIBUTION.md").write_text(
            "# Who drew these pictures\n\nEach folder shows one emoji, as several designers drew "
            f"it. The drawings were rendered at {SIDE} pixels on white and not changed otherwise. "
            "A picture keeps the licence of its set:\n\n"
            + "".join(one.attribute() for one in sets),
            encoding="utf-8",
        )
        (temporary / "out").rename(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make class folders of emoji.")
    parser.add_argument("out", type=Path, help="folder to make, such as datasets/emoji")
    parser.add_argument("--packages", type=Path, help="folder with the files of npm pack")
    main(**vars(parser.parse_args()))
