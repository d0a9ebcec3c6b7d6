"""Arguments of components: found through base classes, and checked by their annotations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from torch import nn
from typing_extensions import NotRequired, TypedDict, Unpack

from gcahng.arguments import arguments_of, checked_arguments
from gcahng.generators import GENERATORS, NegativeGenerator
from gcahng.graph import CONVS
from gcahng.losses import LOSSES


class Layer(TypedDict):
    name: str
    args: NotRequired[Mapping[str, Any]]


class Graph(TypedDict, total=False):
    layers: int | Sequence[str | Layer]
    path: Literal["dense", "sparse"]


class More(TypedDict, total=False):
    weight: float


class Component:
    def __init__(
        self,
        dim: int,
        *,
        count: int = 1,
        name: str | None = None,
        flag: bool = True,
        graph: Graph | None = None,
        pair: tuple[float, float] = (0, 1),
        file: Path = Path(),
        module: nn.Module | None = None,
        anything: Any = 0,
        **more: Unpack[More],
    ) -> None: ...


def check(**given: Any) -> dict[str, Any]:
    return checked_arguments("thing 'one'", Component, given, positional=1, place="it.args")


def test_values_become_what_is_annotated() -> None:
    layers = ["gca", {"name": "gat", "args": {"heads": 2}}]
    given = {"count": 3, "name": None, "graph": {"layers": layers}, "anything": object}
    assert check(**given, weight=1, module=3) == {**given, "weight": 1.0, "module": 3}
    assert check(pair=[1, 0.5], file="a/b") == {"pair": (1.0, 0.5), "file": Path("a/b")}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"count": "half"}, "it.args.count: expected an integer, got 'half'"),
        ({"count": True}, "it.args.count: expected an integer, got true"),
        ({"weight": None}, "it.args.weight: expected a number, got null"),
        ({"name": 2021}, "it.args.name: expected text, got 2021"),
        ({"flag": 1}, "it.args.flag: expected true or false, got 1"),
        ({"pair": 3}, "it.args.pair: expected a list, got 3"),
        ({"pair": [1.0]}, "missing key 'it.args.pair[1]'"),
        ({"graph": {"layers": "x"}}, "layers: expected an integer or a list, got 'x'"),
        ({"graph": {"layers": ["a", 5]}}, "layers[1]: expected text or a mapping, got"),
        ({"graph": {"path": "dens"}}, "'dense' or 'sparse', got 'dens' (did you mean 'dense'?)"),
        ({"graph": {"layer": 1}}, "'it.args.graph.layer' (did you mean 'it.args.graph.layers'?)"),
        ({"cuont": 1}, "it.args: thing 'one' takes no 'cuont' (did you mean 'count'?); it takes"),
        ({"dim": 1}, "it.args: thing 'one' takes no 'dim'"),
    ],
)
def test_mistakes(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=r"it\.args") as info:
        check(**given)
    assert sentence in str(info.value)


def test_every_mistake_has_a_line_and_a_component_its_name() -> None:
    with pytest.raises(ValueError, match="expected") as info:
        checked_arguments("thing 'one'", Component, {"count": "x", "flag": "y"})
    assert str(info.value).splitlines() == [
        "thing 'one' needs 'dim'",
        "thing 'one': count: expected an integer, got 'x'",
        "thing 'one': flag: expected true or false, got 'y'",
    ]


class Plain(NegativeGenerator):
    """Takes what its base class takes."""


class Passing(NegativeGenerator):
    def __init__(self, *args, part=0.5, **settings):  # type: ignore[no-untyped-def]
        super().__init__(*args, **settings)


class Unresolvable(NegativeGenerator):
    def __init__(self, embedding_dim: int, num_classes: int, x: "Nowhere" = 1) -> None: ...  # type: ignore[name-defined]  # noqa: F821


COMMON = {"synthetic_weight", "linear_ce_weight", "normalize", "temperature", "detach_anchor"}


@pytest.mark.parametrize(
    ("make", "own"), [(Plain, set()), (Passing, {"part"}), (GENERATORS["scalar"], {"value"})]
)
def test_a_class_takes_what_it_passes_to_its_base(make: Any, own: set[str]) -> None:
    takes, takes_others = arguments_of(make)
    assert takes.keys() == COMMON | own | {"embedding_dim", "num_classes"}
    assert not takes_others


def test_foreign_classes() -> None:
    assert arguments_of(Unresolvable)[0]["x"].kind is Any
    takes, takes_others = arguments_of(LOSSES.find("CosFaceLoss"))
    assert {"num_classes", "scale", "distance"} <= takes.keys()
    assert not takes_others
    assert not arguments_of(nn.Identity)[0]
    assert arguments_of(CONVS["gatv2"])[1], "as its operator says"
