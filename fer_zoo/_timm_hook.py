"""Registers the models with timm once timm is imported, so that ``import fer_zoo`` stays cheap."""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_MODELS = "fer_zoo.models"


class _RegisteringLoader(Loader):
    """Loads timm as its own loader does, then imports the models, which register themselves."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # what looks at the module afterwards (inspect, importlib.resources) finds its own loader
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        importlib.import_module(_MODELS)


class _TimmFinder(MetaPathFinder):
    """Finds timm as Python's own finder does, with a loader that registers the models."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "timm" or _MODELS in sys.modules:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


def register_with_timm() -> None:
    """Registers the models now if timm is imported already, else as soon as it is."""
    if "timm" in sys.modules:
        importlib.import_module(_MODELS)
    elif not any(isinstance(finder, _TimmFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TimmFinder())
