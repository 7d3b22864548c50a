"""What TorchServe's worker asks of torch where the archive has the light handler: whether an answer is a tensor.

The true one takes a worker two seconds of a core, which no light one ever calls. Another handler's worker has it.
"""

import importlib
import sys
from pathlib import Path

if "class LightHandler" in Path("text_generation.py").read_text(encoding="utf-8"):  # a worker runs in its archive

    class Tensor: ...

else:
    sys.path.remove(str(Path(__file__).parent))
    del sys.modules[__name__]
    sys.modules[__name__] = importlib.import_module(__name__)
