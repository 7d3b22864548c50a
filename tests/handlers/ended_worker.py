"""In place of the end of the process."""

from dataclasses import dataclass, field


@dataclass
class EndedWorker:
    reasons: list[str] = field(default_factory=list)
    errors: list[BaseException | None] = field(default_factory=list)

    def __call__(self, reason: str, error: BaseException | None = None) -> None:
        self.reasons.append(reason)
        self.errors.append(error)
