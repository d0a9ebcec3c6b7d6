"""The arguments that generators accept."""

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from torch import Tensor
from typing_extensions import TypedDict, Unpack, get_type_hints

from gcahng.generators import (
    GENERATORS,
    GeneratorArguments,
    HardNegativeGenerator,
    NegativeGenerator,
    argument_names,
)
from gcahng.generators.fixed_mixing import HDML
from gcahng.graph import BatchLayout

if TYPE_CHECKING:
    from decimal import Decimal

COMMON = list(get_type_hints(GeneratorArguments))
OWN = {
    "class_loss": [],
    "das": ["produced", "channels", "scale", "shift", "remembered"],
    "embedding_expansion": ["points_between"],
    "gca_hng": [
        *("graph", "alpha", "beta", "weights", "node_ce_reaches_embedder", "shared_channels"),
        "quirks",
    ],
    "hardest_real": [],
    "hdml": ["alpha"],
    "metrix": ["mixing"],
    "random_channel": ["alpha"],
    "scalar": ["value"],
    "symmetrical_synthesis": ["reflection"],
    "unmoved": [],
}


def test_common_arguments_are_the_base_class_keywords() -> None:
    parameters = inspect.signature(NegativeGenerator).parameters.values()
    keywords = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert get_type_hints(GeneratorArguments) == keywords


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_argument_names_of_every_generator(name: str) -> None:
    assert argument_names(GENERATORS[name]) == [*OWN[name], *COMMON]


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_takes_the_two_sizes_first_and_the_rest_by_keyword(name: str) -> None:
    first, second, *rest = inspect.signature(GENERATORS[name]).parameters.values()
    assert (first.name, second.name) == ("embedding_dim", "num_classes")
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in rest)


class _Own(TypedDict, total=False):
    heads: int
    detach_anchor: bool


class Unpacked(HardNegativeGenerator):
    def __init__(
        self, embedding_dim: int, num_classes: int, part: float = 0.5, **settings: Unpack[_Own]
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)


class Untyped(HDML):
    def __init__(self, *args: Any, part: float = 0.5, **settings: Any) -> None:
        super().__init__(*args, **settings)


class Unresolved(HDML):
    def __init__(
        self, embedding_dim: int, num_classes: int, part: "Decimal", **settings: "Any"
    ) -> None:
        super().__init__(embedding_dim, num_classes, **settings)


class Closed(NegativeGenerator):
    def __init__(self, embedding_dim: int, num_classes: int, *, part: float = 0.5) -> None:
        super().__init__(embedding_dim, num_classes)

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> None:
        pass


class Inherited(Untyped):
    pass


@pytest.mark.parametrize(
    ("generator", "expected"),
    [
        (Unpacked, ["part", "heads", "detach_anchor"]),
        (Untyped, ["part", "alpha", *COMMON]),
        (Unresolved, ["part", "alpha", *COMMON]),
        (Closed, ["part"]),
        (Inherited, ["part", "alpha", *COMMON]),
    ],
)
def test_argument_names_of_user_generators(
    generator: type[NegativeGenerator], expected: list[str]
) -> None:
    assert argument_names(generator) == expected
