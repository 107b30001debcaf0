"""Writes the tables of README and docs, model cards and recipes' results, from commands' records.

Each block ``<!-- generated: NAME -->`` of a page is made by a function of ``BLOCKS``:

| module | makes | of |
|---|---|---|
| ``model_tables.py`` | models, all models; what ``fer-zoo list`` reads | ``WEIGHTS.json`` |
| ``speed_tables.py`` | bench, engines | ``bench.jsonl``, ``engines.jsonl`` |
| ``result_tables.py`` | of results.md, ablations.md, robustness.md, evaluation.md | see there |
| ``crop_tables.py`` | crops | ``crops.json``, of ``measure_crops.py`` |
| ``heat_map_tables.py`` | heat maps | ``heat_maps.json``, of ``measure_heat_maps.py`` |
| ``video_tables.py`` | video | ``video.json``, of ``measure_video.py`` |
| ``model_cards.py`` | cards of the weights | ``WEIGHTS.json`` and the record of the weights |
| ``training_notes.py`` | "Measured" in recipes, "Training" in cards | the record of the weights |
| ``pictures.py``, ``diagrams.py`` | PNG and SVG files | the records above, the models |

The records are files of ``docs/results``. ``WEIGHTS.json``, such as ``dacl.fer2013.json``, is of
``fer-zoo evaluate --views 20 --out``.

    python docs/tools/generate.py            # writes
    python docs/tools/generate.py --check    # fails if something is out of date
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pictures
from crop_tables import crops_text
from diagrams import DIAGRAMS
from heat_map_tables import heat_maps_text
from model_cards import model_card
from model_tables import model_table, models_table
from result_records import RECIPES, RESULTS, ROOT, record_of, result_of, rows, shipped_weights
from result_tables import (
    ablations_tables,
    adam_table,
    attention_table,
    checks_example,
    combinations_table,
    corruptions_table,
    ensembles_table,
    report_table,
)
from speed_tables import bench_table, engines_table
from training_notes import measured
from video_tables import video_text

from fer_zoo.model_table import TABLE_PATH
from fer_zoo.training import recipe_of

__all__ = ["RESULTS", "ROOT", "main", "record_of", "result_of"]  # embed.py uses these

BLOCKS: dict[str, Callable[[], str]] = {
    "models": lambda: models_table("docs/model_cards", twins=False),
    "all models": lambda: models_table("model_cards", twins=True),
    "bench": bench_table,
    "engines": engines_table,
    "adam": adam_table,
    "report": report_table,
    "ablations": ablations_tables,
    "attention": attention_table,
    "corruptions": corruptions_table,
    "combinations": combinations_table,
    "ensembles": ensembles_table,
    "heat maps": lambda: heat_maps_text(RESULTS / "heat_maps.json", shipped_weights()),
    "checks": checks_example,
    "crops": lambda: crops_text(RESULTS / "crops.json", shipped_weights()),
    "video": lambda: video_text(RESULTS / "video.json"),
}
PAGES = (
    "README.md",
    *(f"docs/{name}.md" for name in ("ablations", "evaluation", "explain", "export", "models")),
    *(f"docs/{name}.md" for name in ("prediction", "results", "robustness", "training", "video")),
)


def filled(page: str) -> str:
    """Returns a page with its generated blocks made anew."""
    text = (ROOT / page).read_text()

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}"

    pattern = r"(<!-- generated: (.*?) -->).*?(<!-- end -->)"
    return re.sub(pattern, block, text, flags=re.DOTALL)


def all_pictures() -> dict[Path, pictures.Picture]:
    """Returns the PNG files of docs, each with what it is drawn from."""
    shipped = [(row, f"{row['model']}.{row['weights']}") for row in rows() if row["weights"]]
    weights = shipped_weights()
    costs = [
        {
            "model": row["model"],
            "weights": row["weights"],
            "macs": row["macs"],
            "accuracy": result_of(name)["metrics"]["accuracy"],
            "interval": result_of(name)["intervals"]["accuracy"],
        }
        for row, name in shipped
    ]
    drawn = pictures.PICTURES
    found = {
        drawn / "portrait.png": pictures.portrait(weights),
        drawn / "accuracy.png": pictures.accuracy(costs),
        drawn / "heat_maps.png": pictures.heat_maps(weights),
        RESULTS / "why_adam_failed.png": pictures.adam(),
    }
    for _, name in shipped:
        found[RESULTS / f"{name}-confusion.png"] = pictures.confusion(result_of(name))
        curves = RESULTS / f"{name}-curves.png"
        if curves.is_file():
            found[curves] = pictures.curves(curves, weights[name])
    for path in RESULTS.glob("*-corruptions.json"):
        result = result_of(path.stem.removesuffix("-corruptions"), "-corruptions")
        found[path.with_suffix(".png")] = pictures.corruptions(result)
    return found


def main() -> int:
    """Writes or checks everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on differences")
    args = parser.parse_args()
    wanted = {ROOT / page: filled(page) for page in PAGES}
    wanted[ROOT / "fer_zoo" / TABLE_PATH.name] = model_table()
    for row in rows():
        if row["weights"]:
            name = f"{row['model']}.{row['weights']}"
            wanted[ROOT / "docs" / "model_cards" / f"{name}.md"] = model_card(name)
            wanted[RECIPES / f"{recipe_of(name)}.toml"] = measured(name)
    wanted |= {pictures.PICTURES / name: draw() for name, draw in DIAGRAMS.items()}
    stale = [p for p, text in wanted.items() if not p.is_file() or p.read_text() != text]
    drawn = all_pictures()
    stale += [path for path, picture in drawn.items() if not picture.is_current(path)]
    for path in stale:
        if not args.check and path in drawn:
            drawn[path].write(path)
        elif not args.check:
            path.write_text(wanted[path])
        print(f"{path.relative_to(ROOT)}{': out of date' if args.check else ' written'}")
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
