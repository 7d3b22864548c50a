"""What a model or a version may be called. Part of the contract (adapter/schema), and packed into archives with it."""

from typing import Annotated

from pydantic import StringConstraints

# TorchServe takes any management request that contains "/token" for its token API
# (TokenAuthorizationHandler.java:43), and a name becomes a URL segment: hence no "token…" and no "..".
# Python's "$" also matches before a final line feed; JavaScript has no "\Z".
NAME_PATTERN = r"^(?!token)(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$(?!\n)"
MODEL_VERSION_SEPARATOR = "@"  # of OpenAI's one field for both; no name has it
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
