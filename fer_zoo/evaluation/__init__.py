"""Figures of models: of one, of two on the same faces, and on corrupted faces."""

from fer_zoo.evaluation.comparison import Comparison, compare
from fer_zoo.evaluation.evaluation import Evaluation, evaluate
from fer_zoo.evaluation.robustness import Robustness, evaluate_corruptions

__all__ = [
    "Comparison",
    "Evaluation",
    "Robustness",
    "compare",
    "evaluate",
    "evaluate_corruptions",
]
