from adapter import errors
from adapter.errors import from_problem
from adapter.schema import ErrorCode, FieldError


def test_a_problem_survives_the_way_to_an_exception_and_back() -> None:
    problem = errors.InvalidRequest(
        "no", retry_after=3, errors=(FieldError(field="prompt", message="empty"),)
    ).to_problem()
    assert from_problem(problem).to_problem() == problem


def test_the_catalogues_delay_holds_where_an_error_has_none_of_its_own() -> None:
    assert errors.Overloaded("full").to_problem().retry_after == 1


def test_a_refused_key_is_no_fault_of_the_caller() -> None:
    assert errors.KeyRefused("x").to_problem().code is ErrorCode.UPSTREAM_UNAVAILABLE


def test_an_error_of_our_own_knows_what_the_catalogue_says_of_it() -> None:
    error = errors.Overloaded("full")
    assert (error.status, error.retryable, error.request_id) == (503, True, None)


def test_an_error_that_was_received_knows_what_it_was_sent_with() -> None:
    problem = errors.Overloaded("full").to_problem("request-1").model_copy(update={"status": 529, "retryable": False})
    error = from_problem(problem)
    assert (error.status, error.retryable, error.request_id) == (529, False, "request-1")
    assert error.problem == problem
