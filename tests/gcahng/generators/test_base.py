"""The arguments that generators accept, and the class loss without negatives."""

import inspect

import pytest
import torch
from torch.nn import functional as F
from typing_extensions import get_type_hints

from gcahng.generators import GENERATORS, GeneratorArguments, NegativeGenerator
from tests.gcahng.generators.test_all_generators import batch, make


def test_common_arguments_are_the_base_class_keywords() -> None:
    parameters = inspect.signature(NegativeGenerator).parameters.values()
    keywords = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert get_type_hints(GeneratorArguments, include_extras=True) == keywords


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_takes_the_two_sizes_first_and_the_rest_by_keyword(name: str) -> None:
    first, second, *rest = inspect.signature(GENERATORS[name]).parameters.values()
    assert (first.name, second.name) == ("embedding_dim", "num_classes")
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in rest)


def test_class_loss_is_batch_norm_linear_and_cross_entropy() -> None:
    made, (z, labels) = make("class_loss", linear_ce_weight=0.3), batch()
    norm, linear = made.linear_head
    centred = (z - z.mean(0)) / (z.var(0, unbiased=False) + norm.eps).sqrt()
    expected = 0.3 * F.cross_entropy(centred @ linear.weight.T + linear.bias, labels)
    result = made(z, labels)
    torch.testing.assert_close(result.total, expected)
    assert result.negatives is None
    assert result.losses.keys() == {"linear_ce"}
    assert len(list(made.head_parameters())) == 4
