"""Which emoji are classes, and which drawings of the sets show each of them."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gcahng.data.emoji.icon_set import IconSet

LEAST_SETS = 4
LEFT_OUT_CATEGORIES = ("Flags", "Symbols")
SKIN_TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
GENDERS = {"2640", "2642"}
PERSON = "(man|woman|men|women|boy|girl)"
# Variants of one motif that differ in who is shown, and the clock's 24 positions.
LEFT_OUT_NAMES = re.compile(
    rf"^{PERSON}(-|$)|-{PERSON}$|(^|-)(family|couple|people|handshake)(-|$)|^kiss$|holding-hands"
    "|-(oclock|thirty)$"
)
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
class Picture:
    """One image of the data set.

    Attributes:
        split: 'train' or 'test'.
        class_name: The emoji.
        set_name: Whose drawing it is.
        svg: The drawing.
    """

    split: str
    class_name: str
    set_name: str
    svg: str

    @property
    def path(self) -> str:
        """Its file, relative to the data set's folder."""
        return f"{self.split}/{self.class_name}/{self.set_name}.png"


def select_pictures(sets: Sequence[IconSet]) -> list[Picture]:
    """Choose the pictures: one of each set for each emoji that enough sets have drawn.

    A drawing is matched by its code points where its package has them, else by its own name,
    else by another name of it. A name of another drawing is not tried: in some sets, `cricket`
    is an alias of the sport.

    Args:
        sets: The first one defines the classes and their names.
    """
    classes = _classes(sets[0])
    drawings: dict[str, dict[str, str]] = {code: {} for code in classes}
    names = _codes_by_name(sets)
    for one in sets:
        for code, name in (one.codes or _match_by_name(one, names)).items():
            if code in classes:
                drawings[code][one.name] = one.svg(name)
    # A drawing that stands for two emoji is wrong for one of them.
    uses = Counter(svg for found in drawings.values() for svg in found.values())
    return [
        Picture(split_of(classes[code]), classes[code], set_name, svg)
        for code, found in drawings.items()
        if len(shown := {key: svg for key, svg in found.items() if uses[svg] == 1}) >= LEAST_SETS
        for set_name, svg in shown.items()
    ]


def split_of(class_name: str) -> str:
    """Return the split of a class, which depends on its name alone.

    >>> split_of("cat"), split_of("octopus")
    ('train', 'test')
    """
    digest = hashlib.sha256(class_name.encode()).digest()
    return "test" if digest[-1] % 2 else "train"


def _classes(reference: IconSet) -> dict[str, str]:
    """The name of each emoji that is a class, by its code points."""
    return {
        code: name
        for code, name in reference.codes.items()
        if not (set(code.split("-")) & (SKIN_TONES | GENDERS))
        and reference.category.get(name) not in (None, *LEFT_OUT_CATEGORIES)
        and not LEFT_OUT_NAMES.search(name)
    }


def _codes_by_name(sets: Sequence[IconSet]) -> dict[str, str]:
    """The code points of each name that a set with code points uses, main names first."""
    found: dict[str, str] = {}
    for main in (True, False):
        for one in sets:
            for code, name in one.codes.items():
                if code in sets[0].codes:
                    for key in [name] if main else one.other_names.get(name, []):
                        found.setdefault(_folded(key), code)
    return found


def _match_by_name(one: IconSet, codes: dict[str, str]) -> dict[str, str]:
    """The name of the drawing of each emoji, in a set without code points."""
    found: dict[str, str] = {}
    meant = MEANT.get(one.name, {})
    own = {name: codes.get(_folded(meant.get(name, name))) for name in one.icons["icons"]}
    for name, code in own.items():
        if code is not None:
            found.setdefault(code, name)
    for name in (name for name, code in own.items() if code is None):
        for code in _known(one.other_names.get(name, []), codes):
            found.setdefault(code, name)
    return found


def _known(names: Sequence[str], codes: dict[str, str]) -> Iterator[str]:
    return (codes[key] for name in names if (key := _folded(name)) in codes)


def _folded(name: str) -> str:
    return name.replace("-", "").lower()
