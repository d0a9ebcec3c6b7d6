import torch

from gcahng.data import Digits


def test_digits_are_divided_by_class() -> None:
    train, test = Digits(), Digits(split="test")
    assert train.classes == [f"digit {i}" for i in range(5)]
    assert test.classes == [f"digit {i}" for i in range(5, 10)]
    assert len(train) + len(test) == 1797
    assert train.labels.unique().tolist() == test.labels.unique().tolist() == [0, 1, 2, 3, 4]
    assert train.labels.dtype == torch.int64
