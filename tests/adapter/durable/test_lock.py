from pathlib import Path

import pytest

from adapter.durable.lock import exclusive


class Taken(Exception): ...


def test_only_one_is_in_at_a_time(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", Taken()), pytest.raises(Taken), exclusive(tmp_path / "lock", Taken()):
        pass


def test_the_next_one_is_let_in_also_where_the_last_one_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "lock", Taken()):
        raise ZeroDivisionError
    with exclusive(tmp_path / "lock", Taken()):
        pass


def test_its_file_is_its_users_alone(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", Taken()):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
