#!/usr/bin/env bash
# Trains the zoo on a GPU that is at hand for minutes only, and packs what came out as it goes.
#
#   bash docs/tools/train_on_gpu.sh FACES OUT SECONDS [options of examples/train_zoo.py]
#
# FACES is FER-2013 with votes. OUT gets zoo-K.tar (weights in float16, config, log and curves of
# finished runs, under 16 MB each) and train.log. The same command continues. Wheels that the
# machine lacks (timm) are taken from the folder .whl, if there is one.
set -euo pipefail
faces=$1 out=$2 seconds=$3
shift 3
cd "$(dirname "$0")/../.."
if compgen -G ".whl/*.whl" >/dev/null; then
  python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target /tmp/site .whl/*.whl
  export PYTHONPATH=/tmp/site
fi
export PYTHONPATH="$PWD:${PYTHONPATH:-}" PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
if command -v nvidia-cuda-mps-control >/dev/null; then # processes share the card at once
  export CUDA_MPS_PIPE_DIRECTORY=/tmp/mps CUDA_MPS_LOG_DIRECTORY=/tmp/mps
  mkdir -p /tmp/mps
  nvidia-cuda-mps-control -d || true
fi
mkdir -p "$out" runs/gpu
minutes=$(python3 -c "print(max(0, $seconds - 25) / 60)")
python3 examples/train_zoo.py "$faces" runs/gpu --time-limit "$minutes" "$@" 2>&1 | tee "$out/train.log" || true
python3 - "$out" <<'PACK'
import io, sys, tarfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save

out, size, part, tar = Path(sys.argv[1]), 0, 0, None
for run in sorted(path.parent for path in Path("runs/gpu").glob("*/model.safetensors")):
    half = {k: v.half() if v.dtype == torch.float32 else v for k, v in load_file(run / "model.safetensors").items()}
    files = {"model.safetensors": save(half, {"format": "pt"})}
    files |= {f.name: f.read_bytes() for f in run.iterdir() if f.suffix in (".json", ".jsonl", ".png")}
    total = sum(map(len, files.values())) + 4096 * len(files)
    if tar is None or size + total > 15.5e6:
        if tar is not None:
            tar.close()
        part, size = part + 1, 0
        tar = tarfile.open(out / f"zoo-{part}.tar", "w")
    size += total
    for name, content in files.items():
        info = tarfile.TarInfo(f"{run.name}/{name}")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
if tar is not None:
    tar.close()
PACK
ls -la "$out"
