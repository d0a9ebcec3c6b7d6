"""Proxy-Anchor loss."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcahng.arguments import Positive, check_positive
from gcahng.graph.precision import full_precision


class ProxyAnchorLoss(nn.Module):
    r"""Attract samples to a learned proxy of their class and repel them from the other proxies.

    With cosine similarity :math:`s(z, c)` to proxy c, :math:`C^+` the classes of the batch,
    :math:`Z_c^+` its samples of class c and :math:`Z_c^-` the rest:

    .. math:: \frac{1}{|C^+|} \sum_{c \in C^+} \log\Big(1 + \sum_{z \in Z_c^+}
        e^{-\alpha (s(z, c) - \delta)}\Big) + \frac{1}{|C|} \sum_{c \in C} \log\Big(1 +
        \sum_{z \in Z_c^-} e^{\alpha (s(z, c) + \delta)}\Big)

    Args:
        num_classes: |C|, number of training classes.
        embedding_dim: D.
        alpha: Scale, > 0.
        delta: Margin.

    Shapes: embeddings [B, D], labels [B] → scalar; gradients reach embeddings and proxies.

    Source: Kim et al. (CVPR 2020).

    Example:
        >>> loss = ProxyAnchorLoss(num_classes=3, embedding_dim=2)
        >>> loss.proxies.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), labels=torch.tensor([0, 1]))
        tensor(3.2400, grad_fn=<AddBackward0>)
    """

    def __init__(
        self, num_classes: int, embedding_dim: int, alpha: Positive = 32.0, delta: float = 0.1
    ) -> None:
        super().__init__()
        check_positive(alpha=alpha)
        self.alpha, self.delta = alpha, delta
        self.proxies = nn.Parameter(torch.empty(num_classes, embedding_dim))
        nn.init.kaiming_normal_(self.proxies, mode="fan_out")

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of a batch of any composition."""
        if embeddings.size(0) == 0:
            return embeddings.sum() + 0 * self.proxies.sum()
        similarity = F.normalize(embeddings, dim=-1) @ F.normalize(self.proxies, dim=-1).t()
        positive = F.one_hot(labels.long(), self.proxies.size(0)).bool()
        # log(1 + Σ exp) is a logsumexp with an extra term of exponent 0, which cannot overflow.
        pull = (-self.alpha * (similarity - self.delta)).masked_fill(~positive, -torch.inf)
        push = (self.alpha * (similarity + self.delta)).masked_fill(positive, -torch.inf)
        zero = similarity.new_zeros(1, similarity.size(1))
        pull = torch.cat([pull, zero]).logsumexp(0)
        push = torch.cat([push, zero]).logsumexp(0)
        # A proxy without positives contributes log(1 + 0) = 0, so the sum needs no mask.
        return pull.sum() / positive.any(0).sum() + push.mean()

    def extra_repr(self) -> str:
        """Show the sizes and settings."""
        classes, channels = self.proxies.shape
        return f"{classes}, {channels}, alpha={self.alpha}, delta={self.delta}"
