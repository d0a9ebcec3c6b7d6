"""BatchNorm whose statistics are those of the images of all processes."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gcahng.processes import Group, sum_over_processes


def use_global_statistics(module: nn.Module, group: Group) -> None:
    """Let all BatchNorm layers of a module compute their statistics over a group, in place.

    Mean and variance are exchanged with gradient, so several processes train as one process with
    the whole batch does. This runs on CPU and GPU; torch's SyncBatchNorm runs on GPUs only. Layers
    in evaluation mode, such as frozen ones, exchange nothing. Parameters, buffers and names stay.
    Without a group nothing changes.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        >>> use_global_statistics(net, group=None)
        >>> net(torch.rand(2, 3, 5, 5)).shape
        torch.Size([2, 4, 5, 5])
    """
    if group is None:
        return
    classes: dict[type, type] = {}
    for layer in module.modules():
        if isinstance(layer, _BatchNorm) and not isinstance(layer, _GlobalStatistics):
            # Change the class instead of the layer, because other objects refer to the layer.
            kind = type(layer)
            if kind not in classes:
                # Keep the name, because caches identify a network by its `repr`. The group belongs
                # to the class, because an object that refers to it could not be copied.
                members = {"group": group}
                classes[kind] = type(kind.__name__, (_GlobalStatistics, kind), members)
            layer.__class__ = classes[kind]


class _GlobalStatistics:
    """Mixin that replaces the forward of a BatchNorm layer in training mode."""

    group: Group

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(self, _BatchNorm)
        if not self.training:
            return super().forward(x)  # type: ignore[misc]
        self._check_input_dim(x)
        rows = x.to(torch.promote_types(x.dtype, torch.float32))
        dims = [0, *range(2, x.dim())]
        count = rows.new_tensor(float(rows.numel() // rows.size(1)))
        count = sum_over_processes(count, self.group)
        mean = sum_over_processes(rows.sum(dims), self.group) / count
        shape = [1, -1] + [1] * (x.dim() - 2)
        centred = rows - mean.view(shape)
        variance = sum_over_processes(centred.square().sum(dims), self.group) / count
        if self.running_mean is not None:
            self._update_running(mean.detach(), variance.detach(), count)
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        result = centred * scale.view(shape)
        result = result if self.bias is None else result + self.bias.view(shape)
        result = result.to(x.dtype)
        # Layers of timm that apply dropout and the activation as well.
        for part in ("drop", "act"):
            result = getattr(self, part)(result) if hasattr(self, part) else result
        return result

    def _update_running(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        assert isinstance(self, _BatchNorm)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # the mean over all batches
            momentum = 1 / float(self.num_batches_tracked)
        unbiased = variance * (count / (count - 1))
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_(unbiased.to(self.running_var), momentum)
