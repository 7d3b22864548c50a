"""What TorchServe prints fills no disk, and its last part can be read."""

import subprocess
import sys
from pathlib import Path

from adapter.torchserve.output_rotation import rotate


def test_a_short_file_stays(tmp_path: Path) -> None:
    output = tmp_path / "torchserve.out"
    output.write_text("1234")
    rotate(output, max_bytes=4)
    assert (output.read_text(), list(tmp_path.iterdir())) == ("1234", [output])


def test_a_long_one_begins_anew_for_who_has_it_open(tmp_path: Path) -> None:
    output = tmp_path / "torchserve.out"
    with output.open("ab") as appending:

        def print_from_another_process(text: str) -> None:
            subprocess.run([sys.executable, "-c", f"print({text!r}, end='')"], stdout=appending, check=True)

        print_from_another_process("before")
        rotate(output, max_bytes=5)
        print_from_another_process("after")

    assert (output.read_text(), (tmp_path / "torchserve.out.1").read_text()) == ("after", "before")


def test_where_no_copy_can_be_made_it_is_emptied(tmp_path: Path) -> None:
    output = tmp_path / "torchserve.out"
    output.write_text("12345")
    (tmp_path / "torchserve.out.1").mkdir()
    rotate(output, max_bytes=4)
    assert output.read_text() == ""


def test_one_that_somebody_has_deleted_or_replaced_does_not_end_its_writer(tmp_path: Path) -> None:
    rotate(tmp_path / "deleted.out")
    rotate(tmp_path, max_bytes=1)  # as what cannot be written
    assert list(tmp_path.iterdir()) == []
