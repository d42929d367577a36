"""Whatever schemathesis makes out of /openapi.json, fitting or not: no 5xx, and no answer that is not described."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.fixtures.gateway import TOKEN, RunningGateway, running_gateway
from tests.fixtures.infrastructure import _database
from tests.fixtures.patience import patient
from tests.fixtures.rest_scenario import prepare


def no_fault_of_the_server(context: Any, response: Any, case: Any) -> bool | None:
    """Nobody solves in this house: to be told when to ask again is the right answer."""
    if response.status_code == 503 and "retry-after" in response.headers and "/api/v1/specification/" in case.path:
        return None
    return not_a_server_error(context, response, case)


CHECKS = [
    no_fault_of_the_server,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
#: requests for each operation and kind of data
EXAMPLES = 12
#: what is made is made anew the same way each time, given one PYTHONHASHSEED
STEADY = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def house(
    postgres_server: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """Something is there to be found: builds that are completed, that wait, that failed; packages; a web UI."""
    directory = tmp_path_factory.mktemp("ui")
    for name in ("main.js", "main.css"):
        (directory / name).write_text("/* the web UI */")
    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with running_gateway(url, tmp_path_factory.mktemp("storage"), ui=directory) as running:
            prepare(running)
            running.post("waiting", namespace="team")
            # Streams and waits would go on: here each is one request.
            running.gateway.feed.close()
            yield running


@pytest.fixture(scope="module")
def described(house: RunningGateway) -> dict[str, Any]:
    found: dict[str, Any] = house.http.get("/openapi.json").json()
    return found


def test_the_description_is_valid(described: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []
    assert described["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    ("mode", "credential"),
    [(GenerationMode.POSITIVE, TOKEN), (GenerationMode.NEGATIVE, TOKEN), (GenerationMode.POSITIVE, "")],
    ids=["fitting", "unfitting", "anonymous"],
)
def test_all_answers_are_described(
    house: RunningGateway, described: dict[str, Any], mode: GenerationMode, credential: str
) -> None:
    schema = schemathesis.openapi.from_dict(described)
    faults: list[str] = []
    with requests.Session() as session:
        session.headers["User-Agent"] = "schemathesis"
        if credential:
            session.headers["Authorization"] = f"Bearer {credential}"
        for found in schema.get_all_operations():
            operation = found.ok()
            asked = ask(operation, mode, house.address, session)
            if asked:
                faults.append(f"{operation.label}\n{asked}")
    assert not faults, "\n\n".join(faults)


def ask(operation: Any, mode: GenerationMode, address: str, session: requests.Session) -> str:
    """What was wrong with an answer, or nothing."""

    @STEADY
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        case.call_and_validate(address, session, checks=CHECKS, timeout=patient(20))

    try:
        one()
    except Unsatisfiable:
        # Nothing about this operation can be wrong.
        return ""
    except Exception as error:
        return str(error) or repr(error)
    except BaseExceptionGroup as group:
        return "\n".join(str(each) for each in group.exceptions)
    return ""
