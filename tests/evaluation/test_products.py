import pytest
import torch
from torch import nn

from kollama2.evaluation import products
from kollama2.evaluation.products import OneDnn


@pytest.mark.parametrize("shape", [(7, 12), (2, 3, 12), (0, 12)])
@pytest.mark.parametrize("bias", [True, False])
def test_products_are_those_of_torch(shape: tuple[int, ...], bias: bool) -> None:
    layer, given = nn.Linear(12, 5, bias=bias), torch.randn(shape)
    with torch.inference_mode():
        wanted = layer(given)
        with OneDnn():
            torch.testing.assert_close(layer(given), wanted)
            torch.testing.assert_close(layer(given.double().float()), wanted)
            turned = nn.functional.linear(given, weight=layer.weight.T.contiguous().T)
    torch.testing.assert_close(turned, given @ layer.weight.T)


def test_gradients_and_other_types_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_KERNEL", None)
    layer, given = nn.Linear(12, 5), torch.randn(7, 12)
    with OneDnn():
        layer(given).sum().backward()
        assert layer.weight.grad is not None
        with torch.inference_mode():
            assert layer.double()(given.double()).dtype == torch.float64


def test_the_kernel_is_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(products, "_HERE", True)
    monkeypatch.setattr(products, "_KERNEL", lambda *args: called.append(args[3:]) or args[0])
    layer, given = nn.Linear(12, 12), torch.randn(7, 12)
    with OneDnn():
        layer(given)
        layer.double()(given.double())
        layer.float()
        with torch.inference_mode():
            layer(given)
    assert called == [("none", [], "")]
