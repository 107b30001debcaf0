"""What the OpenAPI description says is what the service does: schemathesis makes requests of it."""

import pytest
from hypothesis import HealthCheck, settings
from service_clients import MeanPredictor

from fer_zoo.inference.detection import Face
from fer_zoo.service.limits import Limits

pytest.importorskip("fastapi", reason="the extra serve is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")
create_app = pytest.importorskip("fer_zoo.service.app").create_app
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

app = create_app(
    MeanPredictor(workers=1),
    "means",
    limits=Limits(max_bytes=100_000),
    detector=lambda image: [Face((0, 0, image.width, image.height), 0.9)],
    max_wait=0,
)
schema = schemathesis.openapi.from_asgi("/openapi.json", app)


@schema.parametrize()
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_service_is_as_described(case):
    # a schema cannot say which base64 is a picture
    case.call_and_validate(excluded_checks=[checks.positive_data_acceptance])
