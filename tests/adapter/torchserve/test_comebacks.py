from adapter.torchserve.comebacks import Comebacks

ONE, TWO = ("tiny", "1.0"), ("tiny", "2.0")


def seen_ready(*versions: tuple[str, str], limit: float = 60) -> Comebacks:
    comebacks = Comebacks(limit)
    comebacks.note(set(versions), set())
    return comebacks


def test_a_version_whose_worker_starts_again_is_expected_until_it_is_ready() -> None:
    comebacks = seen_ready(ONE)
    comebacks.note(set(), {ONE})
    assert comebacks.expects(ONE)
    comebacks.note({ONE}, set())
    assert not comebacks.expects(ONE)


def test_a_version_that_loses_all_workers_is_not_expected_even_where_they_were_starting_again() -> None:
    comebacks = seen_ready(ONE)
    comebacks.note(set(), {ONE})
    comebacks.note(set(), set())
    assert not comebacks.expects(ONE)
    comebacks.note_outage()
    assert not comebacks.expects(ONE)


def test_a_version_that_loads_for_the_first_time_is_not_expected() -> None:
    comebacks = seen_ready(ONE)
    comebacks.note({ONE}, {TWO})
    assert not comebacks.expects(TWO)


def test_all_that_was_ready_before_an_outage_is_expected_after_it_in_whatever_order_it_comes() -> None:
    comebacks = seen_ready(ONE, TWO)
    comebacks.note_outage()
    assert comebacks.expects(ONE)
    assert comebacks.expects(TWO)
    comebacks.note({ONE}, set())
    assert not comebacks.expects(ONE)
    assert comebacks.expects(TWO)
    comebacks.note({ONE, TWO}, set())
    comebacks.note({ONE}, set())
    assert not comebacks.expects(TWO)  # since then somebody has unloaded it


def test_nothing_is_expected_for_ever() -> None:
    comebacks = seen_ready(ONE, limit=0)
    comebacks.note_outage()
    assert not comebacks.expects(ONE)
    assert comebacks.has_given_up()


def test_a_torchserve_that_answers_again_has_not_been_given_up() -> None:
    comebacks = seen_ready(ONE, limit=0)
    comebacks.note_outage()
    comebacks.note(set(), {ONE})
    assert not comebacks.has_given_up()
