import pytest
from torch import nn

from gcahng.graph.convs.parts import check_choice, check_divisible, feed_forward


def test_feed_forward_is_four_times_as_wide_within() -> None:
    kinds = [type(part) for part in feed_forward(3, inner_norm=True)]
    assert kinds == [nn.Linear, nn.GELU, nn.LayerNorm, nn.Linear]
    assert [parameter.shape[0] for parameter in feed_forward(3).parameters()] == [12, 12, 3, 3]


def test_checks() -> None:
    check_divisible("width", 8, 4)
    check_choice("kind", "b", ("a", "b", "c"))
    with pytest.raises(ValueError, match=r"^Expected 'width' divisible by 3 heads \(got 8\)$"):
        check_divisible("width", 8, 3)
    with pytest.raises(ValueError, match=r"^Expected 'kind' as a, b or c \(got 'd'\)$"):
        check_choice("kind", "d", ("a", "b", "c"))
