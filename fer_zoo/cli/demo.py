"""fer-zoo demo."""

import argparse
import contextlib

from fer_zoo.cli._options import path_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Serves a page that names expressions in the browser: photos and camera stay on the "
        "device. It is built first, once, with npm and the extra page, and kept in a cache."
    )
    parser.epilog = (
        "Examples: fer-zoo demo | fer-zoo demo --models vgg_small,runs/dacl | fer-zoo demo --build "
        "site (then copy the folder to any web server)"
    )
    parser.add_argument("--port", type=int, default=8000, help="of this machine (8000); 0 for any")
    parser.add_argument(
        "--build",
        metavar="FOLDER",
        type=path_option,
        help="write the page there, and serve nothing",
    )
    parser.add_argument(
        "--models",
        default="vgg_small,dacl",
        metavar="NAMES",
        help="names, or folders that training wrote, with commas (vgg_small,dacl)",
    )


def run(args: argparse.Namespace) -> int:
    """Builds the page and serves it."""
    from fer_zoo.demo import build, cached, make_server
    from fer_zoo.demo.builder import BUDGET

    models = [name.strip() for name in args.models.split(",") if name.strip()]
    if args.build:
        built = build(args.build, models)
        for name, size in sorted(built.files.items(), key=lambda item: -item[1])[:8]:
            print(f"{size / 1e6:6.2f} MB  {name}")
        print(f"wrote {built.folder}: {built.wire / 1e6:.1f} MB over the wire, gzipped")
        if built.wire > BUDGET:
            print(f"that is more than {BUDGET / 1e6:.0f} MB: leave a model out by --models")
        return 0
    with make_server(cached(models), args.port) as server:
        print(f"the page is at http://localhost:{server.server_port}; end it by Ctrl+C", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0
