"""The table of how fast videos are predicted, from the record of measure_video.py."""

import json
from pathlib import Path


def video_text(path: Path) -> str:
    """Returns the table.

    Args:
        path: The record, ``docs/results/video.json``.
    """
    record = json.loads(path.read_text("utf-8"))
    results = record["results"]
    scenes = list(dict.fromkeys((r["width"], r["faces"]) for r in results))
    names = [f"{width} wide, {n} face{'s' * (n > 1)}" for width, n in scenes]
    hardware, n = record["provenance"]["hardware"], record["frames"]
    lines = [
        f"Frames per second with `{record['model']}` ({hardware}), threads of a pass:",
        f"{record['threads']}, median of {record['rounds']} turns of {n} frames; largest load of",
        f"the machine meanwhile: {record['load']:.1f}. In brackets: faces found in a frame, where",
        "that is another number.",
        "",
        f"| | {' | '.join(names)} |",
        f"|---|{'--:|' * len(names)}",
    ]
    for way in dict.fromkeys(r["way"] for r in results):
        cells = []
        for width, faces in scenes:
            (r,) = [r for r in results if (r["way"], r["width"], r["faces"]) == (way, width, faces)]
            found = "" if abs(r["found"] - faces) < 0.005 else f" ({r['found']:.2f})"
            cells.append(f"{r['frames_per_second']:.1f}{found}")
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)
