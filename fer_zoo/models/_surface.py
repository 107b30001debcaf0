"""What timm expects of a model, for the families that are not timm's own classes."""

from typing import Any

from torch import Tensor, nn

from fer_zoo.layers import ClassifierHead


def generic_label_names(num_classes: int) -> tuple[str, ...]:
    """Names the classes of a classifier that nobody has named: class_0, class_1 ..."""
    return tuple(f"class_{i}" for i in range(num_classes))


class Labelled:
    """Mixin for a classifier whose class names cannot outlive it.

    Put it before the class whose ``reset_classifier`` it extends: a new classifier has new classes,
    also where their number is the same, so the names become generic. Set ``model.label_names``
    afterwards, or pass ``label_names=`` to :func:`fer_zoo.create_model` instead of resetting.
    """

    label_names: tuple[str, ...] = ()
    #: What logits are divided by before the softmax, so that confidence is calibrated.
    temperature: float = 1.0

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Starts a new classifier; its classes are named class_0, class_1 ..."""
        parent: Any = super()
        parent.reset_classifier(num_classes, global_pool)
        self.label_names = generic_label_names(num_classes)
        self.temperature = 1.0


class _Headed(nn.Module):
    num_classes: int
    num_features: int  # of what forward_features gives
    head_hidden_size: int  # of what the classifier sees
    head: ClassifierHead
    feature_info: list[dict[str, Any]]

    def __init__(self) -> None:
        super().__init__()
        self.grad_checkpointing = False

    def _set_head(self, head: ClassifierHead, num_features: int, num_classes: int) -> None:
        self.head, self.num_features, self.num_classes = head, num_features, num_classes
        self.head_hidden_size = head.num_features

    def get_classifier(self, name_only: bool = False) -> nn.Module | str:
        return "head.fc" if name_only else self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        like = next(self.parameters())
        self.num_classes = num_classes
        self.head.reset(num_classes, global_pool, device=like.device, dtype=like.dtype)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        self.grad_checkpointing = enable

    def forward_features(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        logits: Tensor = self.head(x, pre_logits=pre_logits)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


class HeadedModel(Labelled, _Headed):
    """Base of models that end in a :class:`fer_zoo.layers.ClassifierHead` called ``head``.

    A subclass sets ``feature_info``, calls ``_set_head`` and gives ``forward_features``,
    ``forward_intermediates``, ``prune_intermediate_layers`` and ``group_matcher``.
    """
