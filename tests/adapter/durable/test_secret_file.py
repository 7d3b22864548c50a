import stat
from pathlib import Path

from adapter.durable.secret_file import kept_secret


def test_a_secret_is_made_once_and_is_its_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "cursor.key"
    made = kept_secret(file)
    assert len(made) == 64
    assert kept_secret(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_two_directories_have_two_secrets(tmp_path: Path) -> None:
    assert kept_secret(tmp_path / "a") != kept_secret(tmp_path / "b")
