"""Heat maps: which part of a face speaks for a class, and where a model looks."""

from fer_zoo.explanation.explainer import METHODS, Explanation, explain

__all__ = ["METHODS", "Explanation", "explain"]
