"""Registers the models with timm once timm is imported, so that ``import fer_zoo`` stays cheap."""

import importlib
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_MODELS = "fer_zoo.models"


class _RegisteringLoader(Loader):
    """Loads timm as its own loader does, then imports the models, which register themselves."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> object:
        # what reads a package without importing it (pkgutil, runpy) asks its own loader
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # what looks at the module afterwards (inspect, importlib.resources) finds its own loader
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        try:
            importlib.import_module(_MODELS)
        except ImportError as error:  # timm itself is whole: it must not fail for us
            warnings.warn(f"timm does not know the models of fer_zoo: {error}", stacklevel=2)


class _TimmFinder(MetaPathFinder):
    """Finds timm as the other finders do, with a loader that registers the models."""

    def __init__(self) -> None:
        self.here = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "timm" or _MODELS in sys.modules or getattr(self.here, "searching", False):
            return None
        self.here.searching = True  # another finder may ask all finders too
        try:
            others = [f for f in sys.meta_path if f is not self and hasattr(f, "find_spec")]
            found = (f.find_spec(fullname, path, target) for f in others)
            spec = next((spec for spec in found if spec is not None), None)
        finally:
            self.here.searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


def register_with_timm() -> None:
    """Registers the models now if timm is imported already, else as soon as it is."""
    if sys.modules.get("timm") is not None:
        importlib.import_module(_MODELS)
    elif not any(isinstance(finder, _TimmFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TimmFinder())
