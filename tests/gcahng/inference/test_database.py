import pytest

from gcahng.inference.database import quoted, whole_condition


def test_no_condition() -> None:
    assert whole_condition(None) is None


@pytest.mark.parametrize("where", ["label = 'a)b'", "\"label\" = '('", "size IN (1, 2)"])
def test_the_whole_condition_counts(where: str) -> None:
    assert whole_condition(where) == f"({where})"


@pytest.mark.parametrize("where", ["", "  ", "label = 'cup') or (true", ")"])
def test_what_is_none_is_refused(where: str) -> None:
    with pytest.raises(ValueError, match="is not a condition on path, label, split, size"):
        whole_condition(where)


def test_quotes() -> None:
    assert quoted("'; DROP") == "'''; DROP'"
