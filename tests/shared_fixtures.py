"""Which tests run in one process, where several run at once: those that share what is slow to start."""

import re
from functools import cache
from pathlib import PurePath

from xdist.scheduler import LoadFileScheduling

from tests.project import PROJECT

# The app, and a model's compiled steps, are built once for all tests of these directories.
_BUILT_ONCE = {"browser", "compiled_steps"}
# As a test, or a fixture, asks for the one TorchServe of tests/end_to_end/conftest.py. Some files have their own.
_SHARED_STACK = re.compile(r"\b(gateway_url: str|gateway_settings: Settings|torchserve: TorchServeProcess)[,)]")
_OWN_STACK = re.compile(r"^def (gateway_url|torchserve)\(", re.MULTILINE)


class FilesThatShare(LoadFileScheduling):
    """A file's tests in one process, as `--dist loadfile` has them, and those of files that share something."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePath(super()._split_scope(nodeid))
        return str(file.parent if file.parent.name in _BUILT_ONCE or _shares_the_stack(file) else file)


@cache
def _shares_the_stack(file: PurePath) -> bool:
    if file.parent.name != "end_to_end":
        return False
    content = (PROJECT / file).read_text()
    return bool(_SHARED_STACK.search(content)) and not _OWN_STACK.search(content)
