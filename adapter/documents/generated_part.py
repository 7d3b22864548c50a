"""A part of a document that is written anew from the code, between two marks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GeneratedPart:
    """The marks, each with the line ends that belong to it, and each once in the document."""

    begin: str
    end: str

    def read(self, document: str) -> str:
        _, part, _ = self._split(document)
        return part

    def replace(self, document: str, part: str) -> str:
        before, _, after = self._split(document)
        return before + self.begin + part + self.end + after

    def _split(self, document: str) -> tuple[str, str, str]:
        before, rest = document.split(self.begin)
        part, after = rest.split(self.end)
        return before, part, after
