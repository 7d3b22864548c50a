"""Writes the settings into docs/settings.md, between two marks: `python -m adapter.documents.settings_table`."""

from pydantic.fields import FieldInfo

from adapter.documents.generated_part import GeneratedPart
from adapter.installation import CODE
from adapter.settings import PREFIX, Settings

PAGE = CODE / "docs" / "settings.md"

_TABLE = GeneratedPart(
    "<!-- `make generate` writes this table from adapter/settings.py -->\n\n", "\n<!-- the end of the table -->\n"
)


def with_settings_table(document: str) -> str:
    return _TABLE.replace(document, _settings_table())


def _settings_table() -> str:
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    rows += [
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "".join(f"{row}\n" for row in rows)


def _default(field: FieldInfo) -> str:
    if field.default in (None, (), ""):
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default:g}` s" if field.annotation is float else f"`{field.default}`"


if __name__ == "__main__":
    PAGE.write_text(with_settings_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
