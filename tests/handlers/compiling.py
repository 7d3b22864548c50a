"""What tests have in common that compile."""

import shutil

import pytest

NEEDS_COMPILER = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler"),
    # Inductor's own use of what torch gives up.
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning"),
]
