from benchmarks.rounds import interleave


def test_every_second_round_goes_the_other_way_and_the_first_of_each_counts_for_nothing() -> None:
    order: list[str] = []

    def measured(name: str) -> float:
        order.append(name)
        return len(order)

    figures = interleave({"a": lambda: measured("a"), "b": lambda: measured("b")}, rounds=2)

    assert order == ["a", "b", "a", "b", "b", "a"]
    assert figures["a"].values == (3, 6)
    assert figures["b"].values == (4, 5)
