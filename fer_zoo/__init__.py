"""A PyTorch model zoo for facial-expression recognition on small grayscale faces."""

from fer_zoo.models import create_model, is_model, list_models, model_entrypoint

__version__ = "0.1.0"

__all__ = ["create_model", "is_model", "list_models", "model_entrypoint"]
