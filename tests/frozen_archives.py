"""Two archives as commit 05544a8 packed them, with its own code in them: every gateway to come serves them.

Random weights. PLAIN is a GPT-2 without a chat template, CHAT a Llama with one.
"""

from pathlib import Path

_DIRECTORY = Path(__file__).parent / "fixtures" / "archives_of_contract_1"
PLAIN = _DIRECTORY / "contract1-plain-1.0.mar"
CHAT = _DIRECTORY / "contract1-chat-1.0.mar"
