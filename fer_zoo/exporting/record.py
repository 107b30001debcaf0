"""What is written into an exported file about its model."""

import hashlib
from pathlib import Path

import safetensors.torch

from fer_zoo import __version__
from fer_zoo.exported_files import ExportRecord
from fer_zoo.inference.logits import LoadedModel
from fer_zoo.models import Ensemble, FaceModel
from fer_zoo.models.weights import Sha256


def record_of_export(loaded: LoadedModel, raw: bool, int8: bool) -> ExportRecord:
    """Returns the record of a model that is exported.

    Args:
        loaded: The model.
        raw: Whether preprocessing and softmax are left out.
        int8: Whether it gets 8 bits.
    """
    module = loaded.module
    members = module.members if isinstance(module, Ensemble) else [module]
    cfgs = [member.pretrained_cfg for member in members if isinstance(member, FaceModel)]
    licenses = {str(cfg.get("license") or "unknown") for cfg in cfgs}
    return ExportRecord(
        model=",".join(map(_without_folders, loaded.name.split(","))),
        label_names=loaded.label_names,
        temperature=module.temperature,
        preprocessing=loaded.preprocessing.to_json(),
        raw=raw,
        int8=int8,
        license=", ".join(sorted(licenses)),
        weights_sha256=_in_words(loaded.weights_sha256) or _tensors_sha256(loaded),
        fer_zoo=__version__,
    )


def _without_folders(name: str) -> str:
    """Returns the name of a model folder alone: a file says nothing of the machine it is from."""
    folder = Path(name.strip())
    return folder.resolve().name if folder.is_dir() else name.strip()


def _in_words(sha256: Sha256) -> str:
    """Returns one sha256, or those of an ensemble's members with commas between."""
    if isinstance(sha256, list):
        return ",".join(_in_words(member) or "unknown" for member in sha256)
    return sha256 or ""


def _tensors_sha256(loaded: LoadedModel) -> str:
    """Returns the sha256 of a module's tensors, whose file is not known or no longer theirs."""
    tensors = {name: t.contiguous() for name, t in loaded.module.state_dict().items()}
    return hashlib.sha256(safetensors.torch.save(tensors)).hexdigest()
