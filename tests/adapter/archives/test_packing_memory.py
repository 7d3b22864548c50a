"""Memory stays flat, however large the weights are."""

import subprocess
import sys
from pathlib import Path

from tests.adapter.archives.model_files import write_model


def test_packing_256_megabytes_takes_less_than_64(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", weight_bytes=256 * 10**6)
    script = Path(__file__).parent / "measure_packing.py"
    command = [sys.executable, str(script), str(model), str(tmp_path / "store")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)

    assert (tmp_path / "store" / "large-1.0.mar").stat().st_size > 256 * 10**6
    (tmp_path / "store" / "large-1.0.mar").unlink()  # pytest keeps directories
    assert int(result.stdout.split()[0]) < 64 * 10**6
