"""The arguments that generators accept."""

import inspect

import pytest
from typing_extensions import get_type_hints

from gcahng.generators import GENERATORS, GeneratorArguments, NegativeGenerator


def test_common_arguments_are_the_base_class_keywords() -> None:
    parameters = inspect.signature(NegativeGenerator).parameters.values()
    keywords = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert get_type_hints(GeneratorArguments) == keywords


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_takes_the_two_sizes_first_and_the_rest_by_keyword(name: str) -> None:
    first, second, *rest = inspect.signature(GENERATORS[name]).parameters.values()
    assert (first.name, second.name) == ("embedding_dim", "num_classes")
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in rest)
