from benchmarks.workload import Request, workload


def lengths(requests: list[Request]) -> list[tuple[int, int]]:
    return [(len(request.prompt.split()), request.max_length) for request in requests]


def test_two_readers_ask_as_much_in_the_same_order() -> None:
    assert lengths(workload(16, 3, reader="a")) == lengths(workload(16, 3, reader="b"))


def test_no_prompt_of_one_reader_begins_as_one_of_another_or_of_another_round() -> None:
    asked = [workload(16, seed, reader=reader) for reader in ("", "a", "b") for seed in range(4)]
    beginnings = [tuple(request.prompt.split()[:8]) for requests in asked for request in requests]

    assert len(set(beginnings)) == len(beginnings)


def test_a_workload_is_the_same_again() -> None:
    assert workload(16, 3, reader="a") == workload(16, 3, reader="a")
